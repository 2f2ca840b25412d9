//! Attention of new tokens over a cache by all threads: the keys and values are read once, in the order in which they lie.

use std::ops::Range;

use rayon::prelude::*;

use super::attend::{KeyValues, scale};
use super::softmax::softmax;
use crate::attention::Heads;

/// Numbers of a product that are summed side by side.
const LANES: usize = 16;

/// Rows of values that are added together, so that a sum is read and written once for all.
const AT_ONCE: usize = 4;

/// Attention of one new token a row: `query` is `[rows, query heads * width]`, `seen` are the rows of the cache that each sees,
/// of which the first `prefix` are seen whatever the window.
pub(super) fn attention(
    query: &[f32],
    cache: KeyValues<'_>,
    seen: &[Range<usize>],
    prefix: usize,
    heads: Heads,
) -> Vec<f32> {
    let mut out = vec![0.0; query.len()];
    // every thread gets some rows, or if there are few some heads of them
    let tasks = rayon::current_num_threads().div_ceil(seen.len().max(1));
    let shared = heads.key_value.div_ceil(tasks);
    let hidden = heads.query * heads.width;
    let numbers = shared * heads.group() * heads.width;
    let rows = out.chunks_mut(hidden).zip(query.chunks(hidden)).zip(seen);
    let parts = rows.flat_map(|((out, query), seen)| {
        let parts = out.chunks_mut(numbers).zip(query.chunks(numbers));
        let parts = parts.enumerate().map(move |(index, (out, query))| Part {
            first: index * shared,
            out,
            query,
            seen: seen.clone(),
        });
        parts.collect::<Vec<_>>()
    });
    let parts: Vec<Part<'_>> = parts.collect();
    parts
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(Vec::new, |scores, part| {
            part.attend(scores, cache, prefix, heads);
        });
    out
}

/// Some heads of one row.
struct Part<'a> {
    /// The first of the heads of keys and values.
    first: usize,
    /// The heads' part of a row.
    query: &'a [f32],
    out: &'a mut [f32],
    seen: Range<usize>,
}

impl Part<'_> {
    fn attend(self, scores: &mut Vec<f32>, cache: KeyValues<'_>, prefix: usize, heads: Heads) {
        let prefix = self.seen.start..self.seen.end.min(self.seen.start + prefix);
        let window = heads.window.unwrap_or(usize::MAX);
        let start = prefix.end.max(self.seen.end.saturating_sub(window));
        let rows: Vec<usize> = prefix.chain(start..self.seen.end).collect();
        let shape = Shape {
            rows: &rows,
            stride: heads.key_value * heads.width,
            columns: self.first * heads.width,
            width: heads.width,
            group: heads.group(),
        };
        scores.clear();
        scores.resize(self.query.len() / heads.width * rows.len(), 0.0);
        shape.products(scores, self.query, cache.keys, scale(heads));
        scores.chunks_exact_mut(rows.len()).for_each(softmax);
        shape.sums(self.out, scores, cache.values);
    }
}

/// Where keys and values lie.
struct Shape<'a> {
    /// The rows that are seen.
    rows: &'a [usize],
    stride: usize,
    /// The first column.
    columns: usize,
    width: usize,
    /// Queries that share a head of keys and values.
    group: usize,
}

impl Shape<'_> {
    /// The scores of each query, `[queries, rows]`.
    fn products(&self, scores: &mut [f32], query: &[f32], keys: &[f32], scale: f32) {
        let (count, width) = (self.rows.len(), self.width);
        let heads = query.len() / (self.group * width);
        for (place, row) in self.rows.iter().enumerate() {
            let keys = &keys[row * self.stride + self.columns..][..heads * width];
            let queries = query.chunks_exact(self.group * width);
            let scores = scores.chunks_exact_mut(self.group * count);
            for ((key, queries), scores) in keys.chunks_exact(width).zip(queries).zip(scores) {
                let scores = scores.iter_mut().skip(place).step_by(count);
                for (query, score) in queries.chunks_exact(width).zip(scores) {
                    *score = scale * product(query, key);
                }
            }
        }
    }

    /// The sums of the values by the weights of each query, `[queries, rows]`.
    fn sums(&self, out: &mut [f32], weights: &[f32], values: &[f32]) {
        let (count, width) = (self.rows.len(), self.width);
        let (blocks, rest) = self.rows.as_chunks::<AT_ONCE>();
        let value = |row: usize| &values[row * self.stride + self.columns..];
        for (block, rows) in blocks.iter().enumerate() {
            let values = rows.map(value);
            for (query, out) in out.chunks_exact_mut(width).enumerate() {
                let head = query / self.group * width;
                let values = values.map(|value| &value[head..head + width]);
                let weights = &weights[query * count + block * AT_ONCE..][..AT_ONCE];
                for (column, out) in out.iter_mut().enumerate() {
                    for (weight, value) in weights.iter().zip(values) {
                        *out += weight * value[column];
                    }
                }
            }
        }
        for (place, row) in rest.iter().enumerate() {
            let values = value(*row);
            for (query, out) in out.chunks_exact_mut(width).enumerate() {
                let weight = weights[query * count + blocks.len() * AT_ONCE + place];
                let head = query / self.group * width;
                for (out, value) in out.iter_mut().zip(&values[head..head + width]) {
                    *out += weight * value;
                }
            }
        }
    }
}

/// The product of two rows: in lanes, so that it has the same bits whatever registers there are.
#[inline(always)]
fn product(x: &[f32], y: &[f32]) -> f32 {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    x_rest
        .iter()
        .zip(y_rest)
        .fold(lanes[0], |sum, (x, y)| sum + x * y)
}
