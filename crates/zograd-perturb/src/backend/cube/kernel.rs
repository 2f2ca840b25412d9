//! The pass over a tensor as a CubeCL kernel: noise in registers, one read and one write of each weight.

// The cube macro writes functions and structures that have no documentation.
#![allow(missing_docs)]
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel takes each buffer and each number that its launch binds, and the cipher the words of its key"
)]

use super::words::{LINES, STREAM};
use crate::NoiseKind;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Elements a unit works on: the Gaussian elements of one block of the keystream, and the signs of one word
/// of it.
pub(super) const ELEMENTS_PER_UNIT: usize = 32;

/// 32-bit words of a ChaCha block.
const BLOCK: usize = 16;

/// Applies a pass to `weights`, as [`NoisePass`](crate::NoisePass) defines it.
///
/// A unit writes [`ELEMENTS_PER_UNIT`] neighbouring elements and reads the block of the keystream they need
/// for each of the streams. [`words`](super::words) says what `words` holds.
#[cube(launch_unchecked)]
pub(super) fn add_noise<W: Float, N: Size>(
    weights: &mut Array<Vector<W, N>>,
    words: &Array<u32>,
    tensor_low: u32,
    tensor_high: u32,
    shrink: f32,
    dither: f32,
    base: f32,
    #[comptime] kind: NoiseKind,
    #[define(W)] _dtype: StorageType,
) {
    let lanes = N::value();
    let vectors = comptime!(ELEMENTS_PER_UNIT / lanes);
    let first = ABSOLUTE_POS * vectors;
    if first >= weights.len() {
        terminate!();
    }
    let mut sums = Array::<f32>::new(ELEMENTS_PER_UNIT);
    #[unroll]
    for i in 0..ELEMENTS_PER_UNIT {
        sums[i] = base;
    }

    let mut block = Array::<u32>::new(BLOCK);
    for stream in 0..(words.len() - LINES) / STREAM {
        let at = LINES + STREAM * stream;
        let (low, high) = (words[at], words[at + 1]);
        let a = f32::reinterpret(words[at + 2]);
        let b = f32::reinterpret(words[at + 3]);
        match kind {
            NoiseKind::Gaussian => {
                let counter = ABSOLUTE_POS as u32;
                chacha8(&mut block, low, high, tensor_low, tensor_high, counter, 0);
                #[unroll]
                for i in 0..ELEMENTS_PER_UNIT {
                    let bits = (block[i / 2] >> comptime!(16 * (i as u32 % 2))) & 0xffff;
                    let z = normal(bits, words);
                    sums[i] = fma(b, z, fma(a, z, sums[i]));
                }
            }
            NoiseKind::Rademacher => {
                let counter = (ABSOLUTE_POS / BLOCK) as u32;
                chacha8(&mut block, low, high, tensor_low, tensor_high, counter, 1);
                let mut word = 0u32;
                #[unroll]
                for w in 0..BLOCK {
                    if ABSOLUTE_POS % BLOCK == w {
                        word = block[w];
                    }
                }
                #[unroll]
                for i in 0..ELEMENTS_PER_UNIT {
                    let sign = ((word >> comptime!(i as u32)) & 1) << 31;
                    sums[i] += f32::reinterpret(u32::reinterpret(a) ^ sign);
                    sums[i] += f32::reinterpret(u32::reinterpret(b) ^ sign);
                }
            }
        }
    }

    #[unroll]
    for v in 0..vectors {
        if first + v < weights.len() {
            let old = weights[first + v];
            let mut new = Vector::<W, N>::empty();
            #[unroll]
            for lane in 0..lanes {
                let w = f32::cast_from(old[lane]);
                let sum = sums[comptime!(v * lanes + lane)];
                new[lane] = W::cast_from(w + (fma(-shrink, w + dither, sum) - base));
            }
            weights[first + v] = new;
        }
    }
}

/// The normal that 16 random bits stand for: exact arithmetic, see the crate's `noise` module.
#[cube]
fn normal(bits: u32, words: &Array<u32>) -> f32 {
    let x = f32::cast_from(2 * (bits & 0x7fff) + 1);
    let piece = ((u32::reinterpret(x) >> 21) - 508) as usize;
    let slope = f32::reinterpret(words[64 + piece]);
    let magnitude = slope * x + f32::reinterpret(words[piece]);
    f32::reinterpret(u32::reinterpret(magnitude) ^ ((bits & 0x8000) << 16))
}

/// The block `counter` of the keystream of a tensor under a seed; `stream` is the nonce.
#[cube]
fn chacha8(
    block: &mut Array<u32>,
    seed_low: u32,
    seed_high: u32,
    tensor_low: u32,
    tensor_high: u32,
    counter: u32,
    stream: u32,
) {
    let mut start = Array::<u32>::new(BLOCK);
    // "expand 32-byte k"
    start[0] = 0x6170_7865u32;
    start[1] = 0x3320_646eu32;
    start[2] = 0x7962_2d32u32;
    start[3] = 0x6b20_6574u32;
    start[4] = seed_low;
    start[5] = seed_high;
    start[6] = tensor_low;
    start[7] = tensor_high;
    // "zograd noise v1\0"
    start[8] = 0x7267_6f7au32;
    start[9] = 0x6e20_6461u32;
    start[10] = 0x6573_696fu32;
    start[11] = 0x0031_7620u32;
    start[12] = counter;
    start[13] = 0u32;
    start[14] = stream;
    start[15] = 0u32;
    #[unroll]
    for i in 0..BLOCK {
        block[i] = start[i];
    }
    #[unroll]
    for _ in 0..4 {
        quarter_round(block, 0usize, 4usize, 8usize, 12usize);
        quarter_round(block, 1usize, 5usize, 9usize, 13usize);
        quarter_round(block, 2usize, 6usize, 10usize, 14usize);
        quarter_round(block, 3usize, 7usize, 11usize, 15usize);
        quarter_round(block, 0usize, 5usize, 10usize, 15usize);
        quarter_round(block, 1usize, 6usize, 11usize, 12usize);
        quarter_round(block, 2usize, 7usize, 8usize, 13usize);
        quarter_round(block, 3usize, 4usize, 9usize, 14usize);
    }
    #[unroll]
    for i in 0..BLOCK {
        block[i] += start[i];
    }
}

#[cube]
fn quarter_round(
    w: &mut Array<u32>,
    #[comptime] a: usize,
    #[comptime] b: usize,
    #[comptime] c: usize,
    #[comptime] d: usize,
) {
    w[a] += w[b];
    w[d] = rotated(w[d] ^ w[a], 16u32);
    w[c] += w[d];
    w[b] = rotated(w[b] ^ w[c], 12u32);
    w[a] += w[b];
    w[d] = rotated(w[d] ^ w[a], 8u32);
    w[c] += w[d];
    w[b] = rotated(w[b] ^ w[c], 7u32);
}

#[cube]
fn rotated(x: u32, #[comptime] by: u32) -> u32 {
    (x << by) | (x >> comptime!(32 - by))
}
