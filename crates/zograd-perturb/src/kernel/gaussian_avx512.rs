//! Gaussian noise with the pieces of the quantile function in registers.

use super::{Shift, Weight};
use crate::noise::Normals;
use std::arch::x86_64::{
    __m512, __m512i, _mm256_loadu_si256, _mm512_and_si512, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_or_si512, _mm512_permutex2var_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_srli_epi32,
    _mm512_storeu_ps, _mm512_sub_epi32, _mm512_test_epi32_mask, _mm512_xor_si512,
};

/// Elements per vector.
const LANES: usize = 16;

/// 64 numbers in four registers.
#[derive(Clone, Copy)]
struct Table([__m512; 4]);

impl Table {
    #[target_feature(enable = "avx512f")]
    fn load(values: &[f32; 64]) -> Self {
        let (quarters, _) = values.as_chunks::<LANES>();
        // SAFETY: each quarter is 16 readable f32; the load needs no alignment.
        let quarter = |k: usize| unsafe { _mm512_loadu_ps(quarters[k].as_ptr()) };
        Self([quarter(0), quarter(1), quarter(2), quarter(3)])
    }

    /// The entries whose numbers are the lowest 6 bits of each lane; `upper` says where bit 5 is set.
    #[target_feature(enable = "avx512f")]
    fn get(&self, index: __m512i, upper: u16) -> __m512 {
        let [a, b, c, d] = self.0;
        // a permutation of two registers reads the lowest 5 bits
        let low = _mm512_permutex2var_ps(a, index, b);
        let high = _mm512_permutex2var_ps(c, index, d);
        _mm512_mask_blend_ps(upper, low, high)
    }
}

/// The pieces of the quantile function, in eight registers, and the coefficients of a stream.
struct Gaussian<const N: usize> {
    intercept: Table,
    slope: Table,
    coefficients: [__m512; N],
}

impl<const N: usize> Gaussian<N> {
    #[target_feature(enable = "avx512f")]
    fn load(normals: &Normals, c: [f32; N]) -> Self {
        let mut coefficients = [_mm512_setzero_ps(); N];
        for (vector, c) in coefficients.iter_mut().zip(c) {
            *vector = _mm512_set1_ps(c);
        }
        Self {
            intercept: Table::load(&normals.intercept),
            slope: Table::load(&normals.slope),
            coefficients,
        }
    }

    /// `sum <- fma(c, z, sum)` for every `c` in turn, with the normals that 32 bytes encode, 16 bits each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    fn added(&self, bits: &[u8; 2 * LANES], mut sum: __m512) -> __m512 {
        // twice the lowest 15 bits, and the sign bit, of 16
        let doubled_slice = _mm512_set1_epi32(0xfffe);
        let sign = _mm512_set1_epi32(0x8000_0000_u32 as i32);
        // SAFETY: `bits` is 32 readable bytes; the load needs no alignment.
        let bits = unsafe { _mm256_loadu_si256(bits.as_ptr().cast()) };
        let bits = _mm512_cvtepu16_epi32(bits);
        let twice = _mm512_slli_epi32::<1>(bits);
        let odd = _mm512_or_si512(_mm512_and_si512(twice, doubled_slice), _mm512_set1_epi32(1));
        let x = _mm512_cvtepi32_ps(odd);
        // less the exponent's bias; only the lowest 6 bits of the difference are read
        let piece = _mm512_srli_epi32::<21>(_mm512_castps_si512(x));
        let piece = _mm512_sub_epi32(piece, _mm512_set1_epi32(127 << 2));
        let upper = _mm512_test_epi32_mask(piece, _mm512_set1_epi32(32));
        let (slope, intercept) = (
            self.slope.get(piece, upper),
            self.intercept.get(piece, upper),
        );
        let magnitude = _mm512_fmadd_ps(slope, x, intercept);
        let flip = _mm512_and_si512(_mm512_slli_epi32::<16>(bits), sign);
        let z = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(magnitude), flip));
        for coefficient in self.coefficients {
            sum = _mm512_fmadd_ps(coefficient, z, sum);
        }
        sum
    }
}

/// `sums[i] <- fma(c, z[i], sums[i])` for every `c` in turn, with the normals that `bits` encode, 16 bits each.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) fn add<const N: usize>(normals: &Normals, bits: &[u8], c: [f32; N], sums: &mut [f32]) {
    let gaussian = Gaussian::load(normals, c);
    let (vectors, rest) = sums.as_chunks_mut::<LANES>();
    let (vector_bits, rest_bits) = bits.split_at(vectors.len() * LANES * 2);
    let (vector_bits, _) = vector_bits.as_chunks::<{ 2 * LANES }>();
    for (sums, bits) in vectors.iter_mut().zip(vector_bits) {
        // SAFETY: `sums` is 16 f32; loads and stores need no alignment.
        unsafe {
            let sum = _mm512_loadu_ps(sums.as_ptr());
            _mm512_storeu_ps(sums.as_mut_ptr(), gaussian.added(bits, sum));
        }
    }
    for (sum, bits) in rest.iter_mut().zip(rest_bits.as_chunks::<2>().0) {
        let z = normals.at(u16::from_le_bytes(*bits));
        *sum = c.iter().fold(*sum, |sum, c| c.mul_add(z, sum));
    }
}

/// The same, the sums beginning at the base, and each weight moved by its sum.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) fn add_one<W: Weight, const N: usize>(
    normals: &Normals,
    bits: &[u8],
    c: [f32; N],
    shift: Shift,
    weights: &mut [W],
) {
    let gaussian = Gaussian::load(normals, c);
    let start = _mm512_set1_ps(shift.base);
    let (vectors, rest) = weights.as_chunks_mut::<LANES>();
    let (vector_bits, rest_bits) = bits.split_at(vectors.len() * LANES * 2);
    let (vector_bits, _) = vector_bits.as_chunks::<{ 2 * LANES }>();
    for (weights, bits) in vectors.iter_mut().zip(vector_bits) {
        let mut sums = [0f32; LANES];
        // SAFETY: `sums` is 16 f32; the store needs no alignment.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), gaussian.added(bits, start)) };
        for (w, sum) in weights.iter_mut().zip(sums) {
            *w = w.moved(shift, sum);
        }
    }
    for (w, bits) in rest.iter_mut().zip(rest_bits.as_chunks::<2>().0) {
        let z = normals.at(u16::from_le_bytes(*bits));
        let sum = c.iter().fold(shift.base, |sum, c| c.mul_add(z, sum));
        *w = w.moved(shift, sum);
    }
}
