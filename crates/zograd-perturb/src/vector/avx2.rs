use super::{Row, Vector, part, part_mut};
use std::arch::x86_64::*;
use std::mem::transmute;

/// Eight lanes: AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256i);

// SAFETY of all: whoever calls these functions vouches for the instructions, and for lanes that lie in their row.
//
impl Vector for Avx2 {
    const LANES: usize = 8;
    type Floats = __m256;

    #[inline(always)]
    unsafe fn splat(word: u32) -> Self {
        unsafe { Self(_mm256_set1_epi32(word as i32)) }
    }

    #[inline(always)]
    unsafe fn lane_numbers() -> Self {
        unsafe { Self(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
    }

    #[inline(always)]
    unsafe fn load(row: &Row<u32>, lane: usize) -> Self {
        unsafe { Self(transmute::<[u32; 8], __m256i>(*part(row, lane))) }
    }

    #[inline(always)]
    unsafe fn store(self, row: &mut Row<u32>, lane: usize) {
        unsafe { *part_mut(row, lane) = transmute::<__m256i, [u32; 8]>(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_epi32(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        unsafe { Self(_mm256_xor_si256(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn rotated<const BY: u32>(self) -> Self {
        unsafe {
            let (up, down) = match BY {
                // whole bytes are shuffled
                16 => return self.shuffled([2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13]),
                8 => return self.shuffled([3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14]),
                12 => (
                    _mm256_slli_epi32::<12>(self.0),
                    _mm256_srli_epi32::<20>(self.0),
                ),
                _ => (
                    _mm256_slli_epi32::<7>(self.0),
                    _mm256_srli_epi32::<25>(self.0),
                ),
            };
            Self(_mm256_or_si256(up, down))
        }
    }

    #[inline(always)]
    unsafe fn shifted_down(self, by: u32) -> Self {
        unsafe { Self(_mm256_srl_epi32(self.0, _mm_cvtsi32_si128(by as i32))) }
    }

    #[inline(always)]
    unsafe fn looked_up(self, low: &[i8; 16], high: &[i8; 16]) -> Self {
        unsafe {
            let table = |entries: &[i8; 16]| {
                _mm256_broadcastsi128_si256(transmute::<[i8; 16], __m128i>(*entries))
            };
            let four_bits = _mm256_set1_epi8(15);
            let lower = _mm256_and_si256(self.0, four_bits);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(self.0), four_bits);
            Self(_mm256_add_epi8(
                _mm256_shuffle_epi8(table(low), lower),
                _mm256_shuffle_epi8(table(high), upper),
            ))
        }
    }

    #[inline(always)]
    unsafe fn byte_times_2_24<const BYTE: u32>(self) -> __m256 {
        unsafe {
            // a negative place makes a zero
            const NO: i8 = -1;
            _mm256_cvtepi32_ps(match BYTE {
                0 => _mm256_slli_epi32::<24>(self.0),
                1 => {
                    self.shuffled([NO, NO, NO, 1, NO, NO, NO, 5, NO, NO, NO, 9, NO, NO, NO, 13])
                        .0
                }
                2 => {
                    self.shuffled([NO, NO, NO, 2, NO, NO, NO, 6, NO, NO, NO, 10, NO, NO, NO, 14])
                        .0
                }
                _ => _mm256_and_si256(self.0, _mm256_set1_epi32(0xff << 24)),
            })
        }
    }

    #[inline(always)]
    unsafe fn flipped<const BIT: u32>(self, x: __m256) -> __m256 {
        unsafe {
            let bits = match BIT {
                0 => _mm256_slli_epi32::<31>(self.0),
                1 => _mm256_slli_epi32::<30>(self.0),
                2 => _mm256_slli_epi32::<29>(self.0),
                _ => _mm256_slli_epi32::<28>(self.0),
            };
            let sign = _mm256_and_ps(_mm256_castsi256_ps(bits), _mm256_set1_ps(-0.0));
            _mm256_xor_ps(x, sign)
        }
    }

    #[inline(always)]
    unsafe fn splat_float(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load_floats(row: &Row<f32>, lane: usize) -> __m256 {
        unsafe { transmute::<[f32; 8], __m256>(*part(row, lane)) }
    }

    #[inline(always)]
    unsafe fn store_floats(x: __m256, row: &mut Row<f32>, lane: usize) {
        unsafe { *part_mut(row, lane) = transmute::<__m256, [f32; 8]>(x) }
    }

    #[inline(always)]
    unsafe fn plus(x: __m256, y: __m256) -> __m256 {
        unsafe { _mm256_add_ps(x, y) }
    }

    #[inline(always)]
    unsafe fn minus(x: __m256, y: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(x, y) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m256, x: __m256, y: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, x, y) }
    }
}

impl Avx2 {
    /// The bytes of each half in this order.
    #[inline(always)]
    unsafe fn shuffled(self, order: [i8; 16]) -> Self {
        // SAFETY: as above.
        unsafe {
            let order = _mm256_broadcastsi128_si256(transmute::<[i8; 16], __m128i>(order));
            Self(_mm256_shuffle_epi8(self.0, order))
        }
    }
}
