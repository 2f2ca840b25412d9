//! Attention of packed tokens by all threads.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::chains;
use super::softmax::softmax;
use super::weight::Rows;
use crate::attention::Heads;
use crate::packing::{PackedRow, Segment};

/// Queries that go through attention together: small enough that the causal half which is
/// computed in vain stays small, large enough for an efficient matrix product.
const QUERY_TILE: usize = 64;

/// A `[rows, columns]` matrix in row-major memory whose rows begin `stride` values apart.
///
/// As the transpose of a column-major one, because `MatMut::from_row_major_slice_with_stride_mut`
/// of faer 0.24.4 mixes its strides up and lets products write outside the slice.
fn rows_mut(slice: &mut [f32], rows: usize, columns: usize, stride: usize) -> MatMut<'_, f32> {
    MatMut::from_column_major_slice_with_stride_mut(slice, columns, rows, stride).transpose_mut()
}

/// Queries that share what they see, up to causality and their windows.
struct Tile<'a> {
    queries: Range<usize>,
    segment: &'a Segment,
    /// Number of keys of the prefix, which all queries see.
    prefix: usize,
    /// Keys of the segment's context and of its own that any query sees, ascending by position.
    seen: [Range<usize>; 2],
}

impl Tile<'_> {
    /// Of the keys in [`Tile::seen`], those that query `query` sees: the first, and the one after the last.
    fn visible(&self, query: usize, heads: Heads) -> Range<usize> {
        let [context, own] = heads.seen(self.segment, query);
        let [all_context, all_own] = &self.seen;
        let hidden = context.start - all_context.start + own.start - all_own.start;
        hidden..all_context.len() + own.end - all_own.start
    }

    /// What the tile sees: of the prefix, of the context, of its own segment.
    fn blocks<T: Copy>(&self, [prefix, packed]: [T; 2]) -> [(T, Range<usize>); 3] {
        let [context, own] = self.seen.clone();
        [(prefix, 0..self.prefix), (packed, context), (packed, own)]
    }
}

/// Keys and values, `[tokens, hidden]` each.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyValues<'a> {
    pub keys: &'a [f32],
    pub values: &'a [f32],
}

/// What a score is multiplied by. In f32 one over the square root of a width is not always the nearest number to it; this is the
/// one that f32 gives.
pub(super) fn scale(heads: Heads) -> f32 {
    1.0 / (heads.scale.powi(-2) as f32).sqrt()
}

/// Attention of packed tokens, all of which also see `prefix`: `query` is `[tokens, query heads * width]`.
pub(super) fn attention(
    query: &[f32],
    packed: KeyValues<'_>,
    prefix: KeyValues<'_>,
    heads: Heads,
    rows: &[PackedRow],
) -> Vec<f32> {
    let width = heads.width;
    let [hidden, shared] = [heads.query, heads.key_value].map(|heads| heads * width);
    let mut out = vec![0.0; query.len()];
    let mut tasks = Vec::new();
    let mut rest = out.as_mut_slice();
    // segments cover the packed tokens in order, so their results are consecutive pieces of `out`
    for segment in rows.iter().flat_map(|row| &row.segments) {
        for start in segment.tokens.clone().step_by(QUERY_TILE) {
            let queries = start..segment.tokens.end.min(start + QUERY_TILE);
            let (mine, others) = rest.split_at_mut(queries.len() * hidden);
            rest = others;
            // the first query sees furthest back
            let [context, own] = heads.seen(segment, start);
            let tile = Tile {
                prefix: prefix.keys.len() / shared,
                seen: [context, own.start..queries.end],
                queries,
                segment,
            };
            tasks.push((tile, mine));
        }
    }
    tasks
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(Vec::new, |scores, (tile, out)| {
            for head in 0..heads.query {
                let blocks = tile.blocks([prefix, packed]).map(|(of, tokens)| {
                    let head = head / heads.group();
                    [of.keys, of.values].map(|of| part(of, &tokens, heads.key_value, [head, width]))
                });
                attend(
                    &tile,
                    heads,
                    scores,
                    part(query, &tile.queries, heads.query, [head, width]),
                    blocks,
                    rows_mut(&mut out[head * width..], tile.queries.len(), width, hidden),
                );
            }
        });
    out
}

/// Some tokens of one of `heads` heads that lie side by side.
fn part<'a>(
    of: &'a [f32],
    tokens: &Range<usize>,
    heads: usize,
    [head, width]: [usize; 2],
) -> Rows<'a> {
    let stride = heads * width;
    // none at all may lie beyond the end
    let start = of.len().min(tokens.start * stride + head * width);
    Rows {
        values: &of[start..],
        stride,
        count: tokens.len(),
        width,
    }
}

/// One head of one tile: `out = softmax(scale Q K^T) V`, in blocks of keys and values that share a softmax: prefix,
/// context and own segment.
fn attend(
    tile: &Tile<'_>,
    heads: Heads,
    scores: &mut Vec<f32>,
    query: Rows<'_>,
    blocks: [[Rows<'_>; 2]; 3],
    mut out: MatMut<'_, f32>,
) {
    let queries = query.count;
    let width = blocks.iter().map(|[keys, _]| keys.count).sum();
    scores.clear();
    scores.resize(queries * width, 0.0);
    let mut offset = 0;
    for [keys, _] in blocks.into_iter().filter(|[keys, _]| keys.count > 0) {
        chains::multiply(
            rows_mut(&mut scores[offset..], queries, keys.count, width),
            Accum::Replace,
            query,
            keys,
            scale(heads),
        );
        offset += keys.count;
    }
    for (query, row) in tile.queries.clone().zip(scores.chunks_exact_mut(width)) {
        let visible = tile.visible(query, heads);
        softmax_of(row, tile.prefix, visible);
    }
    let mut accumulate = Accum::Replace;
    let mut offset = 0;
    for [_, values] in blocks.into_iter().filter(|[keys, _]| keys.count > 0) {
        let weights = &scores[offset..];
        matmul(
            out.as_mut(),
            accumulate,
            MatRef::from_row_major_slice_with_stride(weights, queries, values.count, width),
            values.matrix(),
            1.0,
            Par::Seq,
        );
        accumulate = Accum::Add;
        offset += values.count;
    }
}

/// Softmax of the first `prefix` scores and of those `visible` after them; the others become 0.
fn softmax_of(row: &mut [f32], prefix: usize, visible: Range<usize>) {
    let hidden = visible.start;
    // next to what else is seen, and back again
    row.copy_within(..prefix, hidden);
    let (seen, unseen) = row.split_at_mut(prefix + visible.end);
    softmax(&mut seen[hidden..]);
    unseen.fill(0.0);
    row.copy_within(hidden..hidden + prefix, 0);
    row[prefix..prefix + hidden].fill(0.0);
}
