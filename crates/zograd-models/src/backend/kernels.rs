//! Kernels on slices for the CPU backends: one threaded pass each, in f32 whatever type the weights have.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::chains;
use super::product::{TOKENS_PER_BLOCK, product};
use super::weight::{Rows, Weight};
use crate::packing::PackedRow;

/// Queries that go through attention together: small enough that the causal half which is
/// computed in vain stays small, large enough for an efficient matrix product.
const QUERY_TILE: usize = 64;

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
    let accumulate = if bias.is_some() {
        Accum::Add
    } else {
        Accum::Replace
    };
    product(&mut y, accumulate, x, weight, [width_in, width_out]);
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

/// A `[rows, columns]` matrix in row-major memory whose rows begin `stride` values apart.
///
/// As the transpose of a column-major one, because `MatMut::from_row_major_slice_with_stride_mut`
/// of faer 0.24.4 mixes its strides up and lets products write outside the slice.
fn rows_mut(slice: &mut [f32], rows: usize, columns: usize, stride: usize) -> MatMut<'_, f32> {
    MatMut::from_column_major_slice_with_stride_mut(slice, columns, rows, stride).transpose_mut()
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

/// A sum in sixteen lanes: the compiler may keep them in vector registers, and rounding grows
/// with the sixteenth of the length.
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(lanes.len());
    let rest: f32 = chunks.remainder().iter().map(|x| term(*x)).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += term(*x);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Queries that share what they see, up to causality.
struct Tile {
    queries: Range<usize>,
    /// Number of keys of the prefix, which all queries see.
    prefix: usize,
    /// Keys that all queries see.
    context: Range<usize>,
    /// First key of the queries' own segment; query `i` sees the keys from here to `i`.
    own: usize,
}

/// Keys and values, `[tokens, hidden]` each.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyValues<'a> {
    pub keys: &'a [f32],
    pub values: &'a [f32],
}

/// Attention of packed tokens, all of which also see `prefix`: `query` is `[tokens, hidden]`.
pub(super) fn attention(
    query: &[f32],
    packed: KeyValues<'_>,
    prefix: KeyValues<'_>,
    [hidden, heads]: [usize; 2],
    rows: &[PackedRow],
) -> Vec<f32> {
    let width = hidden / heads;
    let mut out = vec![0.0; query.len()];
    let mut tasks = Vec::new();
    let mut rest = out.as_mut_slice();
    // segments cover the packed tokens in order, so their results are consecutive pieces of `out`
    for segment in rows.iter().flat_map(|row| &row.segments) {
        for start in segment.tokens.clone().step_by(QUERY_TILE) {
            let queries = start..segment.tokens.end.min(start + QUERY_TILE);
            let (mine, others) = rest.split_at_mut(queries.len() * hidden);
            rest = others;
            let tile = Tile {
                queries,
                prefix: prefix.keys.len() / hidden,
                context: segment.context.clone(),
                own: segment.tokens.start,
            };
            tasks.push((tile, mine));
        }
    }
    tasks
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(Vec::new, |scores, (tile, out)| {
            for head in 0..heads {
                let columns = head * width;
                attend(
                    &tile,
                    scores,
                    query,
                    [prefix, packed],
                    |of, tokens| Rows {
                        values: &of[tokens.start * hidden + columns..],
                        stride: hidden,
                        count: tokens.len(),
                        width,
                    },
                    rows_mut(&mut out[columns..], tile.queries.len(), width, hidden),
                );
            }
        });
    out
}

/// One head of one tile: `out = softmax(scale Q K^T) V`, in three blocks (prefix, context and own
/// segment) that share a softmax. `part(of, tokens)` is a `[tokens, head width]` view.
fn attend<'a>(
    tile: &Tile,
    scores: &mut Vec<f32>,
    query: &'a [f32],
    [prefix, packed]: [KeyValues<'a>; 2],
    part: impl Fn(&'a [f32], Range<usize>) -> Rows<'a>,
    mut out: MatMut<'_, f32>,
) {
    let queries = tile.queries.len();
    // as wide as a head
    let scale = 1.0 / (out.ncols() as f32).sqrt();
    let own = tile.own..tile.queries.end;
    let blocks = [
        (prefix, 0..tile.prefix),
        (packed, tile.context.clone()),
        (packed, own),
    ];
    let offsets = [0, tile.prefix, tile.prefix + tile.context.len()];
    let width = blocks.iter().map(|(_, tokens)| tokens.len()).sum();
    scores.clear();
    scores.resize(queries * width, 0.0);
    for ((of, tokens), offset) in blocks.iter().zip(offsets) {
        if tokens.is_empty() {
            continue;
        }
        chains::multiply(
            rows_mut(&mut scores[offset..], queries, tokens.len(), width),
            Accum::Replace,
            part(query, tile.queries.clone()),
            part(of.keys, tokens.clone()),
            scale,
        );
    }
    let first_seen = width - queries + 1;
    for (index, row) in scores.chunks_exact_mut(width).enumerate() {
        let (seen, unseen) = row.split_at_mut(first_seen + index);
        softmax(seen);
        unseen.fill(0.0);
    }
    let mut accumulate = Accum::Replace;
    for ((of, tokens), offset) in blocks.iter().zip(offsets) {
        if tokens.is_empty() {
            continue;
        }
        matmul(
            out.as_mut(),
            accumulate,
            MatRef::from_row_major_slice_with_stride(
                &scores[offset..],
                queries,
                tokens.len(),
                width,
            ),
            part(of.values, tokens.clone()).matrix(),
            1.0,
            Par::Seq,
        );
        accumulate = Accum::Add;
    }
}

fn softmax(row: &mut [f32]) {
    let max = max(row);
    for x in row.iter_mut() {
        *x = exp(*x - max);
    }
    let scale = 1.0 / sum(row, |x| x);
    for x in row {
        *x *= scale;
    }
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

fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = values.chunks_exact(lanes.len());
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max)
}

/// `e^x` for `x <= 0`, without a branch or a call so that loops over it become vector code (the
/// library's `exp` is a call per element). Relative error below 2e-7; 0 below -87; NaN stays NaN.
///
/// `e^x = 2^n e^r` with `n = round(x / ln 2)` and `|r| <= ln 2 / 2`; the polynomial for `e^r` and
/// the two-part `ln 2` are those of Cephes' `expf`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // written so that NaN passes through
    let clamped = if x < -87.0 { -87.0 } else { x };
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = 1.987_569_2e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_6e-1;
    p = p * r + 0.5;
    let e_r = p * r * r + r + 1.0;
    // the low bits of `rounded` are n; the exponent of a float is n + 127 from bit 23 on
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { e_r * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_three_units_in_the_last_place() {
        for step in 0..870_000 {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2e-7, "exp({x}) is off by {error}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn a_row_with_nan_has_no_finite_probability() {
        let logits = [0.0, f32::NAN, 1.0];
        assert!(log_probs_at(&logits, 3, &[(0, 0)])[0].is_nan());
    }
}
