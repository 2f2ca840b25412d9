//! Types whose values share scales: blocks of 32 values, and larger ones of 256 whose parts have scales of their own.

mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
pub(super) mod q8_0;
mod six_bits;

use rayon::prelude::*;

use crate::decode::Encoding;

/// Blocks that a thread takes at once.
const BLOCKS: usize = 256;

/// A type of blocks of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "they are called so everywhere")]
#[non_exhaustive]
pub enum Quantised {
    /// 4 bits and a scale for 32.
    Q4_0,
    /// 4 bits, a scale and an offset for 32.
    Q4_1,
    /// 5 bits and a scale for 32.
    Q5_0,
    /// 5 bits, a scale and an offset for 32.
    Q5_1,
    /// 8 bits and a scale for 32.
    Q8_0,
    /// 2 bits; scales and offsets for 16 of 256.
    Q2_K,
    /// 3 bits; scales for 16 of 256.
    Q3_K,
    /// 4 bits; scales and offsets for 32 of 256.
    Q4_K,
    /// 5 bits; scales and offsets for 32 of 256.
    Q5_K,
    /// 6 bits; scales for 16 of 256.
    Q6_K,
}

impl Quantised {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// Values of a block; the length of a row is a multiple of it.
    pub fn block_values(self) -> usize {
        self.block().0
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.block().1
    }

    /// The values of whole blocks; both slices have as many.
    fn dequantise(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::Q4_0 => each(bytes, values, q4_0::dequantise),
            Self::Q4_1 => each(bytes, values, q4_1::dequantise),
            Self::Q5_0 => each(bytes, values, q5_0::dequantise),
            Self::Q5_1 => each(bytes, values, q5_1::dequantise),
            Self::Q8_0 => each(bytes, values, q8_0::dequantise),
            Self::Q2_K => each(bytes, values, q2_k::dequantise),
            Self::Q3_K => each(bytes, values, q3_k::dequantise),
            Self::Q4_K => each(bytes, values, q4_k::dequantise),
            Self::Q5_K => each(bytes, values, q5_k::dequantise),
            Self::Q6_K => each(bytes, values, q6_k::dequantise),
        }
    }
}

impl Encoding for Quantised {
    fn block(self) -> (usize, usize) {
        match self {
            Self::Q4_0 => (32, q4_0::BYTES),
            Self::Q4_1 => (32, q4_1::BYTES),
            Self::Q5_0 => (32, q5_0::BYTES),
            Self::Q5_1 => (32, q5_1::BYTES),
            Self::Q8_0 => (32, q8_0::BYTES),
            Self::Q2_K => (256, q2_k::BYTES),
            Self::Q3_K => (256, q3_k::BYTES),
            Self::Q4_K => (256, q4_k::BYTES),
            Self::Q5_K => (256, q5_k::BYTES),
            Self::Q6_K => (256, q6_k::BYTES),
        }
    }

    fn to_f32(self, bytes: &[u8], values: &mut Vec<f32>) {
        let (values_each, bytes_each) = self.block();
        // all of them are written below
        values.resize(bytes.len() / bytes_each * values_each, 0.0);
        values
            .par_chunks_mut(BLOCKS * values_each)
            .zip(bytes.par_chunks(BLOCKS * bytes_each))
            .for_each(|(values, bytes)| self.dequantise(bytes, values));
    }
}

fn each<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    dequantise: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let blocks = bytes.as_chunks().0.iter();
    let values = values.as_chunks_mut().0.iter_mut();
    for (block, values) in blocks.zip(values) {
        dequantise(block, values);
    }
}

/// The f16 at a place in a block.
fn f16(block: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The fifth bit of a value, which is one of a word of 32, where it belongs.
fn fifth(word: &[u8], i: usize) -> u8 {
    (word[i / 8] >> (i % 8) & 1) << 4
}
