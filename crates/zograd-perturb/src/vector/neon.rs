use super::{Row, Vector, part, part_mut};
use std::arch::aarch64::*;
use std::mem::transmute;

/// Four lanes: NEON, which every 64-bit ARM processor has.
#[derive(Clone, Copy)]
pub(crate) struct Neon(uint32x4_t);

// SAFETY of all: whoever calls these functions vouches for lanes that lie in their row.
impl Vector for Neon {
    const LANES: usize = 4;
    type Floats = float32x4_t;

    #[inline(always)]
    unsafe fn splat(word: u32) -> Self {
        unsafe { Self(vdupq_n_u32(word)) }
    }

    #[inline(always)]
    unsafe fn lane_numbers() -> Self {
        unsafe { Self(transmute::<[u32; 4], uint32x4_t>([0, 1, 2, 3])) }
    }

    #[inline(always)]
    unsafe fn load(row: &Row<u32>, lane: usize) -> Self {
        unsafe { Self(transmute::<[u32; 4], uint32x4_t>(*part(row, lane))) }
    }

    #[inline(always)]
    unsafe fn store(self, row: &mut Row<u32>, lane: usize) {
        unsafe { *part_mut(row, lane) = transmute::<uint32x4_t, [u32; 4]>(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(vaddq_u32(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        unsafe { Self(veorq_u32(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn rotated<const BY: u32>(self) -> Self {
        unsafe {
            // shift down, and insert what was shifted up
            Self(match BY {
                16 => vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(self.0))),
                12 => vsriq_n_u32::<20>(vshlq_n_u32::<12>(self.0), self.0),
                8 => vsriq_n_u32::<24>(vshlq_n_u32::<8>(self.0), self.0),
                _ => vsriq_n_u32::<25>(vshlq_n_u32::<7>(self.0), self.0),
            })
        }
    }

    #[inline(always)]
    unsafe fn shifted_down(self, by: u32) -> Self {
        unsafe { Self(vshlq_u32(self.0, vdupq_n_s32(-(by as i32)))) }
    }

    #[inline(always)]
    unsafe fn looked_up(self, low: &[i8; 16], high: &[i8; 16]) -> Self {
        unsafe {
            let bytes = vreinterpretq_u8_u32(self.0);
            let lower = vandq_u8(bytes, vdupq_n_u8(15));
            let upper = vshrq_n_u8::<4>(bytes);
            let sums = vaddq_s8(
                vqtbl1q_s8(transmute::<[i8; 16], int8x16_t>(*low), lower),
                vqtbl1q_s8(transmute::<[i8; 16], int8x16_t>(*high), upper),
            );
            Self(vreinterpretq_u32_s8(sums))
        }
    }

    #[inline(always)]
    unsafe fn byte_times_2_24<const BYTE: u32>(self) -> float32x4_t {
        unsafe {
            let top = vdupq_n_u32(0xff << 24);
            let bits = match BYTE {
                0 => vshlq_n_u32::<24>(self.0),
                1 => vandq_u32(vshlq_n_u32::<16>(self.0), top),
                2 => vandq_u32(vshlq_n_u32::<8>(self.0), top),
                _ => vandq_u32(self.0, top),
            };
            vcvtq_f32_s32(vreinterpretq_s32_u32(bits))
        }
    }

    #[inline(always)]
    unsafe fn flipped<const BIT: u32>(self, x: float32x4_t) -> float32x4_t {
        unsafe {
            let bits = match BIT {
                0 => vshlq_n_u32::<31>(self.0),
                1 => vshlq_n_u32::<30>(self.0),
                2 => vshlq_n_u32::<29>(self.0),
                _ => vshlq_n_u32::<28>(self.0),
            };
            let sign = vandq_u32(bits, vdupq_n_u32(1 << 31));
            vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), sign))
        }
    }

    #[inline(always)]
    unsafe fn splat_float(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load_floats(row: &Row<f32>, lane: usize) -> float32x4_t {
        unsafe { transmute::<[f32; 4], float32x4_t>(*part(row, lane)) }
    }

    #[inline(always)]
    unsafe fn store_floats(x: float32x4_t, row: &mut Row<f32>, lane: usize) {
        unsafe { *part_mut(row, lane) = transmute::<float32x4_t, [f32; 4]>(x) }
    }

    #[inline(always)]
    unsafe fn plus(x: float32x4_t, y: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(x, y) }
    }

    #[inline(always)]
    unsafe fn minus(x: float32x4_t, y: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(x, y) }
    }

    #[inline(always)]
    unsafe fn fma(a: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(y, a, x) }
    }
}
