//! Kernels on slices for the CPU backends: one threaded pass each, in f32 whatever type the weights have.

use faer::Accum;
use rayon::prelude::*;

use super::Gate;
use super::gate::gated;
use super::product::{TOKENS_PER_BLOCK, product};
use super::softmax::{exp, max, sum};
use super::weight::Weight;

/// Rows of an elementwise pass that one task works on.
const ROWS_PER_TASK: usize = 16;

/// Elements that one task adds: 64 KiB.
const ELEMENTS_PER_TASK: usize = 1 << 14;

/// `x W^T + b`; `x` is `[tokens, width_in]`, `weight` is `[width_out, width_in]`.
pub(super) fn linear<W: Weight>(
    x: &[f32],
    weight: &[W],
    bias: Option<&[f32]>,
    [tokens, width_in, width_out]: [usize; 3],
) -> Vec<f32> {
    let mut y = repeated(bias, tokens, width_out);
    product(&mut y, accumulate(bias), x, weight, [width_in, width_out]);
    y
}

/// `relu(x W1^T + b1) W2^T + b2`; the shape is `[tokens, width_in, inner width, width_out]`.
pub(super) fn feed_forward<W: Weight>(
    x: &[f32],
    (w1, b1): (&[W], Option<&[f32]>),
    (w2, b2): (&[W], Option<&[f32]>),
    [tokens, width_in, width, width_out]: [usize; 4],
) -> Vec<f32> {
    let mut y = repeated(b2, tokens, width_out);
    let mut inner = vec![0.0; tokens.min(TOKENS_PER_BLOCK) * width];
    let blocks = x
        .chunks(TOKENS_PER_BLOCK * width_in)
        .zip(y.chunks_mut(TOKENS_PER_BLOCK * width_out));
    for (x, y) in blocks {
        let tokens = x.len() / width_in;
        let inner = &mut inner[..tokens * width];
        product(inner, Accum::Replace, x, w1, [width_in, width]);
        inner
            .par_chunks_mut(ROWS_PER_TASK * width)
            .flat_map_iter(|rows| rows.chunks_exact_mut(width))
            .for_each(|row| match b1 {
                Some(bias) => {
                    for (x, bias) in row.iter_mut().zip(bias) {
                        *x = rectified(*x + bias);
                    }
                }
                None => row.iter_mut().for_each(|x| *x = rectified(*x)),
            });
        product(y, Accum::Add, inner, w2, [width, width_out]);
    }
    y
}

/// `(activation(x G^T + a) * (x U^T + b)) D^T + c`; the shape is `[tokens, width_in, inner width, width_out]`.
pub(super) fn gated_feed_forward<W: Weight>(
    x: &[f32],
    maps: [(&[W], Option<&[f32]>); 3],
    activation: Gate,
    [tokens, width_in, width, width_out]: [usize; 4],
) -> Vec<f32> {
    let [gate, up, (down, last)] = maps;
    let mut y = repeated(last, tokens, width_out);
    let accumulate = accumulate(last);
    let [mut gates, mut ups] = [(); 2].map(|()| vec![0.0; tokens.min(TOKENS_PER_BLOCK) * width]);
    let blocks = x
        .chunks(TOKENS_PER_BLOCK * width_in)
        .zip(y.chunks_mut(TOKENS_PER_BLOCK * width_out));
    for (x, y) in blocks {
        let numbers = x.len() / width_in * width;
        let (gates, ups) = (&mut gates[..numbers], &mut ups[..numbers]);
        for (y, (weight, _)) in [(&mut *gates, gate), (&mut *ups, up)] {
            product(y, Accum::Replace, x, weight, [width_in, width]);
        }
        let rows = ROWS_PER_TASK * width;
        gates
            .par_chunks_mut(rows)
            .zip(ups.par_chunks_mut(rows))
            .flat_map_iter(|(gates, ups)| {
                gates
                    .chunks_exact_mut(width)
                    .zip(ups.chunks_exact_mut(width))
            })
            .for_each(|(gates, ups)| {
                for (row, bias) in [(&mut *gates, gate.1), (&mut *ups, up.1)] {
                    let bias = bias.unwrap_or_default();
                    row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
                }
                gated(activation, gates, ups);
            });
        product(y, accumulate, gates, down, [width, width_out]);
    }
    y
}

/// How a product joins what [`repeated`] has made.
fn accumulate(bias: Option<&[f32]>) -> Accum {
    match bias {
        Some(_) => Accum::Add,
        None => Accum::Replace,
    }
}

/// `max(x, 0)`; NaN stays NaN, so that a model that has broken down shows it.
#[inline(always)]
fn rectified(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// `rows` copies of a row, or zeros. (Zeros that a product overwrites cost a hundredth of a forward pass; written by all threads
/// they cost as much.)
fn repeated(row: Option<&[f32]>, rows: usize, width: usize) -> Vec<f32> {
    /// A cache line.
    const PIECE: usize = 16;
    let Some(row) = row else {
        return vec![0.0; rows * width];
    };
    let (pieces, rest) = row.as_chunks::<PIECE>();
    if !rest.is_empty() {
        return row.repeat(rows);
    }
    // collected by all threads into memory that nobody has written zeros to before
    (0..rows * pieces.len())
        .into_par_iter()
        .with_min_len(ROWS_PER_TASK * pieces.len())
        .map(|index| pieces[index % pieces.len()])
        .collect::<Vec<[f32; PIECE]>>()
        .into_flattened()
}

/// `x + y`, element by element.
pub(super) fn add(x: &[f32], y: &[f32]) -> Vec<f32> {
    x.par_iter()
        .zip(y)
        .with_min_len(ELEMENTS_PER_TASK)
        .map(|(x, y)| x + y)
        .collect()
}

/// Layer norm over rows of `weight.len()` values.
pub(super) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Vec<f32> {
    let width = weight.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(ROWS_PER_TASK * width)
        .zip(x.par_chunks(ROWS_PER_TASK * width))
        .for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                let mean = sum(x, |x| x) / width as f32;
                let variance = sum(x, |x| (x - mean) * (x - mean)) / width as f32;
                let scale = 1.0 / (variance + epsilon).sqrt();
                for (((y, x), weight), bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                    *y = (x - mean) * scale * weight + bias;
                }
            }
        });
    y
}

/// RMS norm over rows of `weight.len()` values.
pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, offset: f32) -> Vec<f32> {
    let width = weight.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(ROWS_PER_TASK * width)
        .zip(x.par_chunks(ROWS_PER_TASK * width))
        .for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                let square = sum(x, |x| x * x) / width as f32;
                let scale = 1.0 / (square + epsilon).sqrt();
                for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                    *y = x * scale * (offset + weight);
                }
            }
        });
    y
}

/// Rotary positions: `x` has rows of `hidden` values, heads side by side that are twice as wide as rows of `cos` and `sin`.
pub(super) fn rotary(x: &[f32], [cos, sin]: [&[f32]; 2], [hidden, half]: [usize; 2]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let rows = x.par_chunks_exact(hidden);
    let angles = cos.par_chunks_exact(half).zip(sin.par_chunks_exact(half));
    y.par_chunks_exact_mut(hidden)
        .zip(rows)
        .zip(angles)
        .with_min_len(ROWS_PER_TASK)
        .for_each(|((y, x), (cos, sin))| {
            for (y, x) in y.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half)) {
                let ((y1, y2), (x1, x2)) = (y.split_at_mut(half), x.split_at(half));
                for i in 0..half {
                    y1[i] = x1[i] * cos[i] - x2[i] * sin[i];
                    y2[i] = x2[i] * cos[i] + x1[i] * sin[i];
                }
            }
        });
    y
}

/// `log softmax(logits)[row, id]` for (row, id) pairs; `logits` has rows of `vocabulary` values.
pub(super) fn log_probs_at(logits: &[f32], vocabulary: usize, pairs: &[(usize, u32)]) -> Vec<f32> {
    let normalisers: Vec<f32> = logits
        .par_chunks_exact(vocabulary)
        .map(|row| {
            let max = max(row);
            // not the system's `ln`, which differs from one system to another
            max + libm::logf(sum(row, |x| exp(x - max)))
        })
        .collect();
    pairs
        .iter()
        .map(|(row, id)| logits[row * vocabulary + *id as usize] - normalisers[*row])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_nan_has_no_finite_probability() {
        let logits = [0.0, f32::NAN, 1.0];
        assert!(log_probs_at(&logits, 3, &[(0, 0)])[0].is_nan());
    }
}
