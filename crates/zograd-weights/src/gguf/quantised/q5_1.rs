//! 5 bits a value, a scale and a smallest value: `d q + m`. The fifth bits have a word of their own.

use super::{f16, fifth};

/// 32 values.
pub(super) const BYTES: usize = 4 + 4 + 16;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 32]) {
    let (d, m) = (f16(block, 0), f16(block, 2));
    for (i, pair) in block[8..].iter().enumerate() {
        values[i] = d * f32::from(pair & 15 | fifth(&block[4..8], i)) + m;
        values[i + 16] = d * f32::from(pair >> 4 | fifth(&block[4..8], i + 16)) + m;
    }
}
