//! 5 bits a value, the fifth ones apart; every 32 values have a scale and an offset of 6 bits, and all have two factors
//! for these.

use super::f16;
use super::six_bits::scale_and_offset;

/// 256 values.
pub(super) const BYTES: usize = 4 + 12 + 32 + 128;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 256]) {
    let (d, dmin) = (f16(block, 0), f16(block, 2));
    let (scales, high, quants) = (&block[4..16], &block[16..48], &block[48..]);
    for (part, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, offset) = scale_and_offset(scales, part);
        let (d, m) = (d * f32::from(scale), dmin * f32::from(offset));
        let bytes = quants[part / 2 * 32..].iter().zip(high);
        for (value, (pair, high)) in values.iter_mut().zip(bytes) {
            let q = pair >> (part % 2 * 4) & 15 | (high >> part & 1) << 4;
            *value = d * f32::from(q) - m;
        }
    }
}
