//! A signed byte a value, and a scale: `d q`.

use half::f16 as Half;

use super::f16;

/// 32 values.
pub(super) const BYTES: usize = 2 + 32;

pub(super) fn dequantise(block: &[u8; BYTES], values: &mut [f32; 32]) {
    let d = f16(block, 0);
    for (value, q) in values.iter_mut().zip(&block[2..]) {
        *value = d * f32::from(q.cast_signed());
    }
}

/// The nearest block, as ggml makes it: the largest value becomes 127, and halves are rounded away from zero.
pub(crate) fn quantise(values: &[f32; 32]) -> [u8; BYTES] {
    let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let d = largest / 127.0;
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    let mut block = [0; BYTES];
    block[..2].copy_from_slice(&Half::from_f32(d).to_le_bytes());
    for (q, value) in block[2..].iter_mut().zip(values) {
        *q = ((value * inverse).round() as i8).cast_unsigned();
    }
    block
}
