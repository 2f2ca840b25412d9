//! 3 bits a value around 4, the third ones apart; every 16 values have a scale of 6 bits around 32, and all have a factor
//! for these.

use super::f16;

/// 256 values.
pub(super) const BYTES: usize = 32 + 64 + 12 + 2;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 256]) {
    let (high, low, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let d = f16(block, 108);
    for (i, value) in values.iter_mut().enumerate() {
        let q = low[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
        // the third bit is stored upside down: where it is set nothing is taken off
        let third = high[i % 32] >> (i / 32) & 1;
        let q = f32::from(q) - if third == 1 { 0.0 } else { 4.0 };
        *value = d * (f32::from(scale(scales, i / 16)) - 32.0) * q;
    }
}

/// The lower four bits of 16 scales are the halves of 8 bytes, the upper two the quarters of 4.
fn scale(scales: &[u8], i: usize) -> u8 {
    let low = scales[i % 8] >> (i / 8 * 4) & 15;
    let high = scales[8 + i % 4] >> (i / 4 * 2) & 3;
    low | high << 4
}
