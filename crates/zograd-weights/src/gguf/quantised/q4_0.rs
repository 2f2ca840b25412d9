//! 4 bits a value around 8, and a scale: `d (q - 8)`.

use super::f16;

/// 32 values.
pub(super) const BYTES: usize = 2 + 16;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 32]) {
    let d = f16(block, 0);
    for (i, pair) in block[2..].iter().enumerate() {
        values[i] = d * (f32::from(pair & 15) - 8.0);
        values[i + 16] = d * (f32::from(pair >> 4) - 8.0);
    }
}
