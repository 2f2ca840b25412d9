//! `x W^T` by all threads, with weights of 16 or 32 bits.

use faer::{Accum, MatMut};
use rayon::prelude::*;

use super::chains;
#[cfg(target_arch = "x86_64")]
use super::few::Tokens;
use super::weight::{Rows, Weight};

/// Tokens that a product takes at a time: few enough that what it reads and writes of them stays in a cache, enough for
/// the product to be efficient.
pub(super) const TOKENS_PER_BLOCK: usize = 1024;

/// Rows of the weight matrix that a task takes, if that leaves the threads enough tasks: with [`chains::COLUMNS`], 384 KiB
/// in f32.
const ROWS_PER_TASK: usize = 192;

/// Multiply-adds up to which other threads would cost more than they save.
const ALONE: usize = 1 << 17;

/// `y = x W^T`, or added to `y`; `x` is `[tokens, width_in]`, `weight` is `[width_out, width_in]`.
///
/// Weights of 16 bits are brought to f32 a block at a time and never stand in memory as a whole, and all is summed in f32.
/// The bits do not depend on threads or blocks, and are those of f32 weights with the same values.
pub(super) fn product<W: Weight>(
    y: &mut [f32],
    accumulate: Accum,
    x: &[f32],
    weight: &[W],
    [width_in, width_out]: [usize; 2],
) {
    let tokens = x.len() / width_in;
    #[cfg(target_arch = "x86_64")]
    if let Some(few) = Tokens::of(Rows::of(x, width_in)) {
        let y = MatMut::from_row_major_slice_mut(y, tokens, width_out);
        if x.len() * width_out <= ALONE {
            return few.multiply(y, accumulate, weight);
        }
        let rows = task(tokens, width_out)[1];
        return y
            .par_col_chunks_mut(rows)
            .zip(weight.par_chunks(rows * width_in))
            .with_max_len(1)
            .for_each(|(y, weight)| few.multiply(y, accumulate, weight));
    }
    if x.len() * width_out <= ALONE {
        let y = MatMut::from_row_major_slice_mut(y, tokens, width_out);
        return block(y, accumulate, Rows::of(x, width_in), weight);
    }
    let [tokens_per_task, rows_per_task] = task(tokens, width_out);
    y.par_chunks_mut(tokens_per_task * width_out)
        .zip(x.par_chunks(tokens_per_task * width_in))
        .for_each(|(y, x)| {
            let x = Rows::of(x, width_in);
            MatMut::from_row_major_slice_mut(y, x.count, width_out)
                .par_col_chunks_mut(rows_per_task)
                .zip(weight.par_chunks(rows_per_task * width_in))
                .with_max_len(1)
                .for_each(|(y, weight)| block(y, accumulate, x, weight));
        });
}

/// Tokens and rows of the weight matrix that a task takes.
fn task(tokens: usize, width_out: usize) -> [usize; 2] {
    let threads = rayon::current_num_threads();
    let tasks = |rows: usize| width_out.div_ceil(rows);
    let halves = [ROWS_PER_TASK, ROWS_PER_TASK / 2];
    let rows = halves.into_iter().find(|rows| tasks(*rows) >= 2 * threads);
    let rows = rows.unwrap_or(ROWS_PER_TASK / 4);
    // many threads share the tokens as well
    let parts = threads.div_ceil(tasks(rows).max(1));
    let tokens = tokens.div_ceil(parts).clamp(64, TOKENS_PER_BLOCK);
    [tokens, rows]
}

/// The product of one task.
fn block<W: Weight>(mut y: MatMut<'_, f32>, accumulate: Accum, x: Rows<'_>, weight: &[W]) {
    let width = x.width;
    let rows = weight.len() / width;
    let rows_at_once = if chains::needed(x.count, rows, width) {
        // read once: little enough at a time for the first cache
        chains::SIDE_BY_SIDE
    } else {
        rows
    };
    for first in (0..rows).step_by(rows_at_once) {
        let rows = first..rows.min(first + rows_at_once);
        let weight = &weight[rows.start * width..rows.end * width];
        let mut y = y.as_mut().subcols_mut(rows.start, rows.len());
        let mut accumulate = accumulate;
        for start in (0..width).step_by(chains::COLUMNS) {
            let columns = start..width.min(start + chains::COLUMNS);
            let x = x.columns(columns.clone());
            W::widened(weight, width, columns, |weight| {
                chains::multiply(y.as_mut(), accumulate, x, weight, 1.0);
            });
            accumulate = Accum::Add;
        }
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        let number = |i: usize| ((i + seed) * 7919 % 2003) as f32 / 1001.0 - 1.0;
        (0..count).map(number).collect()
    }

    /// The order of the sums in words: chains of 512 fused multiply-adds, and their sum.
    fn expected(x: &[f32], weight: &[f32], [width, width_out]: [usize; 2], start: f32) -> Vec<f32> {
        let mut y = Vec::new();
        for x in x.chunks(width) {
            for output in 0..width_out {
                let weight = &weight[output * width..][..width];
                let chains = x.chunks(512).zip(weight.chunks(512)).map(|(x, weight)| {
                    let pairs = x.iter().zip(weight);
                    pairs.fold(0.0f32, |sum, (x, weight)| weight.mul_add(*x, sum))
                });
                y.push(chains.fold(start, |sum, chain| sum + chain));
            }
        }
        y
    }

    /// One row, a few, for each way to do few, and many; sizes for which the matrix library has short cuts, with more than
    /// one chain, and that leave a rest of a single row or column. So a row has one value alone, in every batch, and with every
    /// instruction set.
    #[test]
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        ignore = "no fused multiply-add"
    )]
    fn every_sum_has_one_order() {
        let widths = [1, 7, 65, 100, 513, 1100];
        let cases = [1, 2, 9, 17, 33].into_iter().flat_map(|tokens| {
            let shapes = widths
                .into_iter()
                .flat_map(|width| [1, 2, 12, 193].map(|out| [width, out]));
            shapes.map(move |shape| (tokens, shape))
        });
        for (tokens, shape) in cases.chain([(1030, [3, 2])]) {
            let [width, width_out] = shape;
            let x = numbers(tokens * width, 3);
            let halves: Vec<f16> = numbers(width * width_out, 5)
                .into_iter()
                .map(f16::from_f32)
                .collect();
            let brains: Vec<bf16> = numbers(width * width_out, 7)
                .into_iter()
                .map(bf16::from_f32)
                .collect();
            let case = format!("{tokens} x {width} x {width_out}");
            let wide: Vec<f32> = halves.iter().map(|weight| weight.to_f32()).collect();
            let expected_half = expected(&x, &wide, shape, 0.0);
            let mut y = vec![9.0; tokens * width_out];
            product(&mut y, Accum::Replace, &x, &wide, shape);
            assert_eq!(y, expected_half, "f32 {case}");
            product(&mut y, Accum::Replace, &x, &halves, shape);
            assert_eq!(y, expected_half, "f16 {case}");
            let wide: Vec<f32> = brains.iter().map(|weight| weight.to_f32()).collect();
            y.fill(0.25);
            product(&mut y, Accum::Add, &x, &brains, shape);
            assert_eq!(y, expected(&x, &wide, shape, 0.25), "bf16 {case}");
        }
    }

    /// The kinds of registers that another processor would take for as many tokens.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn few_tokens_have_the_same_sums_in_all_registers() {
        use crate::backend::few::transposed;

        if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
            eprintln!("skipped: this processor lacks AVX2 or FMA");
            return;
        }
        let wide = is_x86_feature_detected!("avx512f");
        if !wide {
            eprintln!("the registers of AVX-512 are skipped: this processor lacks them");
        }
        for [tokens, width, width_out] in [[2, 600, 8], [8, 513, 13], [9, 1100, 6], [16, 40, 25]] {
            let x = numbers(tokens * width, 3);
            let weight = numbers(width * width_out, 5);
            let expected = expected(&x, &weight, [width, width_out], 0.25);
            let x = Rows::of(&x, width);
            let mut kinds = vec![Tokens::Avx2Twice(transposed(x))];
            if tokens <= 8 {
                kinds.push(Tokens::Avx2(transposed(x)));
            }
            if wide {
                kinds.push(Tokens::Avx512(transposed(x)));
                kinds.push(Tokens::Avx512Twice(transposed(x)));
            }
            for kind in kinds {
                let mut y = vec![0.25; tokens * width_out];
                let y_mut = MatMut::from_row_major_slice_mut(&mut y, tokens, width_out);
                kind.multiply(y_mut, Accum::Add, &weight);
                assert_eq!(y, expected, "{tokens} x {width} x {width_out}");
            }
        }
    }
}
