use super::{Row, Vector, part, part_mut};
use std::arch::x86_64::*;
use std::mem::transmute;

/// Sixteen lanes: AVX-512 F and BW.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512i);

// SAFETY of all: whoever calls these functions vouches for the instructions, and for lanes that lie in their row: there
// is only lane 0.
impl Vector for Avx512 {
    const LANES: usize = 16;
    type Floats = __m512;

    #[inline(always)]
    unsafe fn splat(word: u32) -> Self {
        unsafe { Self(_mm512_set1_epi32(word as i32)) }
    }

    #[inline(always)]
    unsafe fn lane_numbers() -> Self {
        unsafe {
            Self(_mm512_setr_epi32(
                0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
            ))
        }
    }

    #[inline(always)]
    unsafe fn load(row: &Row<u32>, lane: usize) -> Self {
        unsafe { Self(transmute::<[u32; 16], __m512i>(*part(row, lane))) }
    }

    #[inline(always)]
    unsafe fn store(self, row: &mut Row<u32>, lane: usize) {
        unsafe { *part_mut(row, lane) = transmute::<__m512i, [u32; 16]>(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_epi32(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        unsafe { Self(_mm512_xor_si512(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn rotated<const BY: u32>(self) -> Self {
        unsafe {
            Self(match BY {
                16 => _mm512_rol_epi32::<16>(self.0),
                12 => _mm512_rol_epi32::<12>(self.0),
                8 => _mm512_rol_epi32::<8>(self.0),
                _ => _mm512_rol_epi32::<7>(self.0),
            })
        }
    }

    #[inline(always)]
    unsafe fn shifted_down(self, by: u32) -> Self {
        unsafe { Self(_mm512_srl_epi32(self.0, _mm_cvtsi32_si128(by as i32))) }
    }

    #[inline(always)]
    unsafe fn looked_up(self, low: &[i8; 16], high: &[i8; 16]) -> Self {
        unsafe {
            let table = |entries: &[i8; 16]| {
                _mm512_broadcast_i32x4(transmute::<[i8; 16], __m128i>(*entries))
            };
            let four_bits = _mm512_set1_epi8(15);
            let lower = _mm512_and_si512(self.0, four_bits);
            let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(self.0), four_bits);
            Self(_mm512_add_epi8(
                _mm512_shuffle_epi8(table(low), lower),
                _mm512_shuffle_epi8(table(high), upper),
            ))
        }
    }

    #[inline(always)]
    unsafe fn byte_times_2_24<const BYTE: u32>(self) -> __m512 {
        unsafe {
            let top = _mm512_set1_epi32(0xff << 24);
            _mm512_cvtepi32_ps(match BYTE {
                0 => _mm512_slli_epi32::<24>(self.0),
                1 => _mm512_and_si512(_mm512_slli_epi32::<16>(self.0), top),
                2 => _mm512_and_si512(_mm512_slli_epi32::<8>(self.0), top),
                _ => _mm512_and_si512(self.0, top),
            })
        }
    }

    #[inline(always)]
    unsafe fn flipped<const BIT: u32>(self, x: __m512) -> __m512 {
        unsafe {
            let bits = match BIT {
                0 => _mm512_slli_epi32::<31>(self.0),
                1 => _mm512_slli_epi32::<30>(self.0),
                2 => _mm512_slli_epi32::<29>(self.0),
                _ => _mm512_slli_epi32::<28>(self.0),
            };
            let sign = _mm512_and_si512(bits, _mm512_set1_epi32(i32::MIN));
            _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(x), sign))
        }
    }

    #[inline(always)]
    unsafe fn splat_float(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load_floats(row: &Row<f32>, lane: usize) -> __m512 {
        unsafe { transmute::<[f32; 16], __m512>(*part(row, lane)) }
    }

    #[inline(always)]
    unsafe fn store_floats(x: __m512, row: &mut Row<f32>, lane: usize) {
        unsafe { *part_mut(row, lane) = transmute::<__m512, [f32; 16]>(x) }
    }

    #[inline(always)]
    unsafe fn plus(x: __m512, y: __m512) -> __m512 {
        unsafe { _mm512_add_ps(x, y) }
    }

    #[inline(always)]
    unsafe fn minus(x: __m512, y: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(x, y) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, x: __m512, y: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, x, y) }
    }
}
