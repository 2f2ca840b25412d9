//! Sums of products in one order, whatever the processor's registers hold.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};

use super::weight::Rows;

/// Columns of one chain of fused multiply-adds, in their order; a sum is that of its chains. So does faer, where it does
/// not take one of its short cuts.
pub(super) const COLUMNS: usize = 512;

/// Chains that run side by side: enough to fill a register of AVX2.
pub(super) const SIDE_BY_SIDE: usize = 8;

/// Multiply-adds up to which faer has kernels with another order of sums.
const SMALL: usize = 1 << 12;

/// Whether faer would sum the product in an order of its own: in lanes, as many as the processor has, if one side is a
/// single row; with one rounding less, if that is a single column; by the kernels for small matrices. Where there is no
/// fused multiply-add it may do so.
pub(super) fn needed(rows: usize, others: usize, width: usize) -> bool {
    let single = rows == 1 || others == 1 || width == 1;
    (single || rows * others * width <= SMALL) && fused()
}

/// `y = scale x W^T`, or added to `y`; `x` is `[rows, width]`, `weight` is `[outputs, width]`.
///
/// On processors with fused multiply-adds the bits of a row do not depend on the other rows, nor on the processor.
pub(super) fn multiply(
    mut y: MatMut<'_, f32>,
    accumulate: Accum,
    x: Rows<'_>,
    weight: Rows<'_>,
    scale: f32,
) {
    if !needed(x.count, weight.count, x.width) {
        let weight = weight.matrix().transpose();
        matmul(y, accumulate, x.matrix(), weight, scale, Par::Seq);
        return;
    }
    for first in (0..weight.count).step_by(SIDE_BY_SIDE) {
        let outputs = first..weight.count.min(first + SIDE_BY_SIDE);
        // of the last few some are summed more than once
        let rows = std::array::from_fn(|row| weight.row((first + row).min(outputs.end - 1)));
        for row in 0..x.count {
            let x = x.row(row);
            let mut replace = matches!(accumulate, Accum::Replace);
            for start in (0..x.len()).step_by(COLUMNS) {
                let columns = start..x.len().min(start + COLUMNS);
                let sums = sums(
                    &x[columns.clone()],
                    rows.map(|row: &[f32]| &row[columns.clone()]),
                );
                for (output, sum) in outputs.clone().zip(sums) {
                    let y = &mut y[(row, output)];
                    *y = if replace {
                        scale * sum
                    } else {
                        *y + scale * sum
                    };
                }
                replace = false;
            }
        }
    }
}

/// Whether a multiply-add that rounds once is an instruction here.
fn fused() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

/// The product of `x` with each of the rows.
fn sums(x: &[f32], rows: [&[f32]; SIDE_BY_SIDE]) -> [f32; SIDE_BY_SIDE] {
    #[cfg(target_arch = "x86_64")]
    if fused() {
        // SAFETY: `fused` has just found both features.
        return unsafe { avx2(x, rows) };
    }
    chains(x, rows)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(x: &[f32], rows: [&[f32]; SIDE_BY_SIDE]) -> [f32; SIDE_BY_SIDE] {
    chains(x, rows)
}

#[inline(always)]
fn chains(x: &[f32], rows: [&[f32]; SIDE_BY_SIDE]) -> [f32; SIDE_BY_SIDE] {
    const STEP: usize = 8;
    let mut sums = [0.0; SIDE_BY_SIDE];
    let rows = rows.map(|row| row[..x.len()].as_chunks::<STEP>());
    let (x, rest) = x.as_chunks::<STEP>();
    for (step, x) in x.iter().enumerate() {
        // transposed first, so that the compiler keeps a column in a register
        let mut columns = [[0.0; SIDE_BY_SIDE]; STEP];
        for (row, (steps, _)) in rows.iter().enumerate() {
            for (column, weight) in steps[step].iter().enumerate() {
                columns[column][row] = *weight;
            }
        }
        for (x, column) in x.iter().zip(&columns) {
            for (sum, weight) in sums.iter_mut().zip(column) {
                *sum = weight.mul_add(*x, *sum);
            }
        }
    }
    for (column, x) in rest.iter().enumerate() {
        for (sum, (_, weights)) in sums.iter_mut().zip(&rows) {
            *sum = weights[column].mul_add(*x, *sum);
        }
    }
    sums
}
