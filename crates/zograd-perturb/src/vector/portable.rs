use super::{Row, Vector};
use std::array::from_fn;

/// Four lanes in plain Rust, which the compiler makes vectors of where it can.
///
/// Without a hardware fused multiply-add (x86-64 older than 2013) `mul_add` calls the mathematics library: slow, still
/// the same bits.
#[derive(Clone, Copy)]
pub(crate) struct Portable([u32; 4]);

// Nothing here is unsafe: lanes are checked.
impl Vector for Portable {
    const LANES: usize = 4;
    type Floats = [f32; 4];

    #[inline(always)]
    unsafe fn splat(word: u32) -> Self {
        Self([word; 4])
    }

    #[inline(always)]
    unsafe fn lane_numbers() -> Self {
        Self([0, 1, 2, 3])
    }

    #[inline(always)]
    unsafe fn load(row: &Row<u32>, lane: usize) -> Self {
        Self(from_fn(|k| row[lane + k]))
    }

    #[inline(always)]
    unsafe fn store(self, row: &mut Row<u32>, lane: usize) {
        row[lane..lane + 4].copy_from_slice(&self.0);
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(from_fn(|k| self.0[k].wrapping_add(other.0[k])))
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        Self(from_fn(|k| self.0[k] ^ other.0[k]))
    }

    #[inline(always)]
    unsafe fn rotated<const BY: u32>(self) -> Self {
        Self(self.0.map(|word| word.rotate_left(BY)))
    }

    #[inline(always)]
    unsafe fn shifted_down(self, by: u32) -> Self {
        Self(self.0.map(|word| word >> by))
    }

    #[inline(always)]
    unsafe fn looked_up(self, low: &[i8; 16], high: &[i8; 16]) -> Self {
        let sum = |byte: u8| low[usize::from(byte & 15)] + high[usize::from(byte >> 4)];
        Self(self.0.map(|word| {
            let sums = word.to_le_bytes().map(|byte| sum(byte) as u8);
            u32::from_le_bytes(sums)
        }))
    }

    #[inline(always)]
    unsafe fn byte_times_2_24<const BYTE: u32>(self) -> [f32; 4] {
        self.0
            .map(|word| (word << (24 - 8 * BYTE) & 0xff << 24) as i32 as f32)
    }

    #[inline(always)]
    unsafe fn flipped<const BIT: u32>(self, x: [f32; 4]) -> [f32; 4] {
        from_fn(|k| f32::from_bits(x[k].to_bits() ^ (self.0[k] >> BIT) << 31))
    }

    #[inline(always)]
    unsafe fn splat_float(x: f32) -> [f32; 4] {
        [x; 4]
    }

    #[inline(always)]
    unsafe fn load_floats(row: &Row<f32>, lane: usize) -> [f32; 4] {
        from_fn(|k| row[lane + k])
    }

    #[inline(always)]
    unsafe fn store_floats(x: [f32; 4], row: &mut Row<f32>, lane: usize) {
        row[lane..lane + 4].copy_from_slice(&x);
    }

    #[inline(always)]
    unsafe fn plus(x: [f32; 4], y: [f32; 4]) -> [f32; 4] {
        from_fn(|k| x[k] + y[k])
    }

    #[inline(always)]
    unsafe fn minus(x: [f32; 4], y: [f32; 4]) -> [f32; 4] {
        from_fn(|k| x[k] - y[k])
    }

    #[inline(always)]
    unsafe fn fma(a: [f32; 4], x: [f32; 4], y: [f32; 4]) -> [f32; 4] {
        from_fn(|k| a[k].mul_add(x[k], y[k]))
    }
}
