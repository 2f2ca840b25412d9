//! 6 bits a value around 32, the upper two apart; every 16 values have a signed byte as their scale, and all have a factor
//! for these.

use super::f16;

/// 256 values.
pub(super) const BYTES: usize = 128 + 64 + 16 + 2;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 256]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = f16(block, 208);
    for (i, value) in values.iter_mut().enumerate() {
        let half = i / 128;
        let low = low[half * 64 + i % 64] >> (i / 64 % 2 * 4) & 15;
        let high = high[half * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
        let scale = f32::from(scales[i / 16].cast_signed());
        *value = d * scale * (f32::from(low | high << 4) - 32.0);
    }
}
