//! 2 bits a value; every 16 values have a scale and an offset of 4 bits, and all have two factors for these.

use super::f16;

/// 256 values.
pub(super) const BYTES: usize = 16 + 64 + 4;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 256]) {
    let (scales, quants) = (&block[..16], &block[16..80]);
    let (d, dmin) = (f16(block, 80), f16(block, 82));
    for (i, value) in values.iter_mut().enumerate() {
        let scale = scales[i / 16];
        let q = quants[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
        *value = d * f32::from(scale & 15) * f32::from(q) - dmin * f32::from(scale >> 4);
    }
}
