//! 4 bits a value, a scale and a smallest value: `d q + m`.

use super::f16;

/// 32 values.
pub(super) const BYTES: usize = 4 + 16;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 32]) {
    let (d, m) = (f16(block, 0), f16(block, 2));
    for (i, pair) in block[4..].iter().enumerate() {
        values[i] = d * f32::from(pair & 15) + m;
        values[i + 16] = d * f32::from(pair >> 4) + m;
    }
}
