//! `x W^T` of a few tokens, as when text is written: the tokens lie side by side in a register, and weights are read once,
//! where they lie. The matrix library lays the weights out anew first, which takes longer than such a product.

use std::arch::x86_64::{
    __m256, __m512, _MM_HINT_T0, _mm_prefetch, _mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps,
};
use std::mem::transmute;

use faer::{Accum, MatMut};

use super::chains::COLUMNS;
use super::weight::{Rows, Weight};

/// Rows of weights whose sums are in registers together, if a token's sums take one register each.
const OUTPUTS: usize = 8;

/// The same if they take two, of the 16 that AVX2 has.
const OUTPUTS_OF_TWO: usize = 6;

/// Weights of a cache line.
const LINE: usize = 16;

/// The tokens of a product, transposed: column by column, in one or two registers each. Made by [`Tokens::of`], which looks for
/// the instructions.
pub(super) enum Tokens {
    Avx2(Vec<[[f32; 8]; 1]>),
    Avx2Twice(Vec<[[f32; 8]; 2]>),
    Avx512(Vec<[[f32; 16]; 1]>),
    Avx512Twice(Vec<[[f32; 16]; 2]>),
}

impl Tokens {
    /// None if they are too many, or the processor lacks the instructions; or if there is one, for which `chains` has a faster
    /// way: outputs side by side.
    pub fn of(x: Rows<'_>) -> Option<Self> {
        if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
            return None;
        }
        let wide = is_x86_feature_detected!("avx512f");
        Some(match x.count {
            2..=8 => Self::Avx2(transposed(x)),
            9..=16 if wide => Self::Avx512(transposed(x)),
            9..=16 => Self::Avx2Twice(transposed(x)),
            17..=32 if wide => Self::Avx512Twice(transposed(x)),
            _ => return None,
        })
    }

    /// `y = x W^T`, or added to `y`: `y` is `[tokens, outputs]`, `weight` is `[outputs, width]`. The order of the sums is that of
    /// [`super::chains`].
    pub fn multiply<W: Weight>(&self, y: MatMut<'_, f32>, accumulate: Accum, weight: &[W]) {
        // SAFETY: `of` has found the instructions of each.
        unsafe {
            match self {
                Self::Avx2(x) => multiply(y, accumulate, x, weight, |x, rows| {
                    avx2::<1, OUTPUTS>(x, rows)
                }),
                Self::Avx2Twice(x) => {
                    multiply(y, accumulate, x, weight, |x, rows| {
                        avx2::<2, OUTPUTS_OF_TWO>(x, rows)
                    });
                }
                Self::Avx512(x) => multiply(y, accumulate, x, weight, |x, rows| {
                    avx512::<1, OUTPUTS>(x, rows)
                }),
                Self::Avx512Twice(x) => {
                    multiply(y, accumulate, x, weight, |x, rows| {
                        avx512::<2, OUTPUTS>(x, rows)
                    });
                }
            }
        }
    }
}

/// Columns of tokens; what is beyond the last token is 0.
pub(super) fn transposed<const LANES: usize, const REGISTERS: usize>(
    x: Rows<'_>,
) -> Vec<[[f32; LANES]; REGISTERS]> {
    let mut columns = vec![[[0.0; LANES]; REGISTERS]; x.width];
    for (column, lanes) in columns.iter_mut().enumerate() {
        let tokens = x.values[column..].iter().step_by(x.stride);
        for (lane, x) in lanes.as_flattened_mut().iter_mut().zip(tokens) {
            *lane = *x;
        }
    }
    columns
}

/// The sums of every token and some outputs.
type Sums<const LANES: usize, const REGISTERS: usize, const OUTPUTS: usize> =
    [[[f32; LANES]; REGISTERS]; OUTPUTS];

/// As [`Tokens::multiply`], a group of outputs at a time, `chain` by `chain`.
fn multiply<W: Weight, const LANES: usize, const REGISTERS: usize, const OUTPUTS: usize>(
    mut y: MatMut<'_, f32>,
    accumulate: Accum,
    x: &[[[f32; LANES]; REGISTERS]],
    weight: &[W],
    chain: impl Fn(&[[[f32; LANES]; REGISTERS]], [&[f32]; OUTPUTS]) -> Sums<LANES, REGISTERS, OUTPUTS>,
) {
    let width = x.len();
    let tokens = y.nrows();
    for (group, weight) in weight.chunks(OUTPUTS * width).enumerate() {
        let outputs = weight.len() / width;
        let mut y = y.as_mut().subcols_mut(group * OUTPUTS, outputs);
        let mut replace = matches!(accumulate, Accum::Replace);
        for start in (0..width).step_by(COLUMNS) {
            let columns = start..width.min(start + COLUMNS);
            let sums = W::widened(weight, width, columns.clone(), |rows| {
                // of the last few some are summed more than once
                let rows = std::array::from_fn(|output| rows.row(output.min(outputs - 1)));
                chain(&x[columns], rows)
            });
            for token in 0..tokens {
                let [register, lane] = [token / LANES, token % LANES];
                for (output, sums) in sums.iter().enumerate().take(outputs) {
                    let y = &mut y[(token, output)];
                    let sum = sums[register][lane];
                    *y = if replace { sum } else { *y + sum };
                }
            }
            replace = false;
        }
    }
}

/// Asks for the weights that come after these rows, those of the columns from `column` on.
#[inline(always)]
fn prefetch<const OUTPUTS: usize>(rows: &[&[f32]; OUTPUTS], column: usize) {
    // as far apart as the rows are
    let [first, last] = [rows[0].as_ptr(), rows[OUTPUTS - 1].as_ptr()];
    let stride = (last as usize - first as usize) / size_of::<f32>() / (OUTPUTS - 1);
    for output in 0..OUTPUTS {
        let next = first.wrapping_add((OUTPUTS + output) * stride + column);
        // SAFETY: a hint, which does not fault whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(next.cast()) };
    }
}

macro_rules! chain {
    ($name:ident, $features:literal, $lanes:literal, $register:ty, $zero:ident, $splat:ident, $fma:ident) => {
        /// One chain of fused multiply-adds for each token and output.
        #[target_feature(enable = $features)]
        fn $name<const REGISTERS: usize, const OUTPUTS: usize>(
            x: &[[[f32; $lanes]; REGISTERS]],
            rows: [&[f32]; OUTPUTS],
        ) -> Sums<$lanes, REGISTERS, OUTPUTS> {
            let rows: [&[f32]; OUTPUTS] = std::array::from_fn(|output| &rows[output][..x.len()]);
            let mut sums = [[$zero(); REGISTERS]; OUTPUTS];
            for (column, x) in x.iter().enumerate() {
                if column % LINE == 0 {
                    prefetch(&rows, column);
                }
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    let weight = $splat(row[column]);
                    for (sum, x) in sums.iter_mut().zip(x) {
                        // SAFETY: a register has as many bits as its lanes.
                        let x = unsafe { transmute::<[f32; $lanes], $register>(*x) };
                        *sum = $fma(weight, x, *sum);
                    }
                }
            }
            // SAFETY: as above.
            sums.map(|sums| sums.map(|sum| unsafe { transmute::<$register, [f32; $lanes]>(sum) }))
        }
    };
}

chain!(
    avx2,
    "avx2,fma",
    8,
    __m256,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps
);
chain!(
    avx512,
    "avx512f",
    16,
    __m512,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps
);
