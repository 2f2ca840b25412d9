//! 5 bits a value around 16, and a scale: `d (q - 16)`. The fifth bits have a word of their own.

use super::{f16, fifth};

/// 32 values.
pub(super) const BYTES: usize = 2 + 4 + 16;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 32]) {
    let d = f16(block, 0);
    for (i, pair) in block[6..].iter().enumerate() {
        values[i] = d * (f32::from(pair & 15 | fifth(&block[2..6], i)) - 16.0);
        values[i + 16] = d * (f32::from(pair >> 4 | fifth(&block[2..6], i + 16)) - 16.0);
    }
}
