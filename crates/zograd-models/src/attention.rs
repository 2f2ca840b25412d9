//! Who attends to whom among packed tokens, and the padded rectangles for backends without a
//! kernel for packed tokens.

use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::indices::indices;
use crate::packing::{PackedRow, Packing, Segment};
use crate::plan::Plan;

/// The shortest row of a rectangle has at least this share of the longest one's tokens, which
/// bounds the padding that attention computes and throws away.
const MIN_FILL: (usize, usize) = (3, 4);

/// A rectangle has at most this many attention scores over all heads (128 MiB in f32), unless a
/// single row has more.
const MAX_SCORES: usize = 1 << 25;

/// Added to the score of a token that must not be seen: its weight underflows to exactly 0.
pub(crate) const HIDDEN: f32 = -1e30;

/// Sizes of attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// Heads of the queries.
    pub query: usize,
    /// Heads of the keys and values; divides [`Heads::query`]. Neighbouring heads of the queries share one.
    pub key_value: usize,
    /// Numbers in a head.
    pub width: usize,
    /// A token sees itself and so many tokens before it, less one, by position; `None`: all before it. An adapter's prefix
    /// is always seen.
    pub window: Option<usize>,
    /// What scores are multiplied by: 1 / sqrt(width), unless the model says otherwise.
    pub scale: f64,
}

impl Heads {
    /// As many heads of keys and values as of queries, no window, and scores divided by the square root of the width.
    pub fn plain(heads: usize, width: usize) -> Self {
        Self {
            query: heads,
            key_value: heads,
            width,
            window: None,
            scale: (width as f64).powf(-0.5),
        }
    }

    /// Heads of the queries that share one of the keys and values.
    pub fn group(&self) -> usize {
        self.query / self.key_value
    }

    /// What a packed token of `segment` sees: of the segment's context, and of the segment, itself last.
    pub fn seen(&self, segment: &Segment, token: usize) -> [Range<usize>; 2] {
        let (context, own) = (&segment.context, segment.tokens.start);
        let window = self.window.unwrap_or(usize::MAX);
        let before = token - own;
        // the window begins at this position; the context's tokens have positions from 0
        let first = (context.len() + before + 1).saturating_sub(window);
        let hidden = first.min(context.len());
        let own = own + (first - hidden);
        [context.start + hidden..context.end, own..token + 1]
    }
}

/// Who attends to whom in one forward pass.
///
/// Rows hold a prefix and the tails that branch from it (see [`Plan`](crate::Plan)): a token sees
/// the prefix of its row and, causally, its own tail. Backends read the layout in one of two
/// forms: segments of packed tokens (CPU kernels), or padded rectangles with an additive mask,
/// which are built when first asked for and serve all layers.
///
/// A backend of another crate that overrides [`ModelBackend::packed_attention`](crate::ModelBackend::packed_attention)
/// reads [`AttentionLayout::heads`] and [`AttentionLayout::rows`]; [`Heads::seen`] says what a token of them sees.
#[derive(Debug)]
pub struct AttentionLayout<B: Backend> {
    heads: Heads,
    rows: Vec<PackedRow>,
    rectangles: OnceLock<Vec<Rectangle<B>>>,
    #[cfg(feature = "cube")]
    seen: OnceLock<Tensor<B, 1, Int>>,
}

impl<B: Backend> AttentionLayout<B> {
    /// The layout of a plan's tokens.
    pub fn of(plan: &Plan, heads: Heads) -> Self {
        Self::new(&plan.packing, heads)
    }

    pub(crate) fn new(packing: &Packing, heads: Heads) -> Self {
        Self {
            heads,
            rows: packing.rows.clone(),
            rectangles: OnceLock::new(),
            #[cfg(feature = "cube")]
            seen: OnceLock::new(),
        }
    }

    /// Numbers and widths of the heads, and how far back they see.
    pub fn heads(&self) -> Heads {
        self.heads
    }

    /// The rows of packed tokens, in packed order; rows do not see one another.
    pub fn rows(&self) -> &[PackedRow] {
        &self.rows
    }

    /// Three numbers a token, as a kernel for packed tokens reads them: where the tokens that it sees of an earlier segment
    /// start and end, and from where on it sees those of its own, up to itself.
    #[cfg(feature = "cube")]
    pub(crate) fn seen(&self, device: &B::Device) -> Tensor<B, 1, Int> {
        let seen = self.seen.get_or_init(|| {
            let segments = self.rows.iter().flat_map(|row| &row.segments);
            let numbers = segments.flat_map(|segment| {
                segment.tokens.clone().flat_map(|token| {
                    let [context, own] = self.heads.seen(segment, token);
                    [context.start, context.end, own.start].map(|number| number as i32)
                })
            });
            let numbers: Vec<i32> = numbers.collect();
            let shape = [numbers.len()];
            Tensor::from_data(TensorData::new(numbers, shape), (device, DType::I32))
        });
        seen.clone()
    }

    pub(crate) fn rectangles(&self, device: &B::Device) -> &[Rectangle<B>] {
        self.rectangles.get_or_init(|| {
            group(&self.rows, self.heads.query)
                .into_iter()
                .map(|range| Rectangle::new(&self.rows[range], self.heads, device))
                .collect()
        })
    }
}

/// Splits rows into runs of neighbours of similar length.
pub(crate) fn group(rows: &[PackedRow], heads: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = 0;
    let (mut shortest, mut longest) = (usize::MAX, 0);
    for (index, row) in rows.iter().enumerate() {
        let (least, most) = (shortest.min(row.len()), longest.max(row.len()));
        let filled = least * MIN_FILL.1 >= most * MIN_FILL.0;
        let scores = (index + 1 - start) * heads * most * most;
        if index > start && !(filled && scores <= MAX_SCORES) {
            groups.push(start..index);
            start = index;
            (shortest, longest) = (row.len(), row.len());
        } else {
            (shortest, longest) = (least, most);
        }
    }
    groups.push(start..rows.len());
    groups
}

/// Rows padded at the end to one length, so that batched matrix products apply.
#[derive(Debug)]
pub(crate) struct Rectangle<B: Backend> {
    rows: usize,
    length: usize,
    /// The packed tokens of the rows.
    tokens: Range<usize>,
    /// `None` where all rows have the same length: then a reshape is enough.
    padding: Option<Padding<B>>,
    /// `[rows or 1, 1, length, length]` f32, added to the scores.
    mask: Tensor<B, 4>,
}

#[derive(Debug)]
struct Padding<B: Backend> {
    /// For each cell, the token it holds, counted from the rectangle's first. Padding repeats the
    /// first token: no real token sees it, and its own result is dropped.
    cell_tokens: Tensor<B, 1, Int>,
    /// For each token, the cell that holds it.
    token_cells: Tensor<B, 1, Int>,
}

impl<B: Backend> Rectangle<B> {
    fn new(rows: &[PackedRow], heads: Heads, device: &B::Device) -> Self {
        let length = rows.iter().map(PackedRow::len).max().unwrap_or(0);
        let first = rows.first().map_or(0, |row| row.tokens().start);
        let end = rows.last().map_or(0, |row| row.tokens().end);
        Self {
            rows: rows.len(),
            length,
            tokens: first..end,
            padding: rows
                .iter()
                .any(|row| row.len() != length)
                .then(|| Padding::new(rows, length, device)),
            mask: mask(rows, heads, length, device),
        }
    }

    /// `[tokens, heads * width]` of all packed tokens to `[rows, heads, length, width]`.
    pub(crate) fn gather(&self, packed: Tensor<B, 2>, heads: usize) -> Tensor<B, 4> {
        let [_, hidden] = packed.dims();
        let mine = packed.slice([self.tokens.clone(), 0..hidden]);
        let cells = match &self.padding {
            Some(padding) => mine.select(0, padding.cell_tokens.clone()),
            None => mine,
        };
        cells
            .reshape([self.rows, self.length, heads, hidden / heads])
            .swap_dims(1, 2)
    }

    /// The reverse of [`Rectangle::gather`], for the tokens of this rectangle.
    pub(crate) fn scatter(&self, attended: Tensor<B, 4>) -> Tensor<B, 2> {
        let [rows, heads, length, width] = attended.dims();
        let cells = attended
            .swap_dims(1, 2)
            .reshape([rows * length, heads * width]);
        match &self.padding {
            Some(padding) => cells.select(0, padding.token_cells.clone()),
            None => cells,
        }
    }

    pub(crate) fn mask(&self) -> Tensor<B, 4> {
        self.mask.clone()
    }
}

impl<B: Backend> Padding<B> {
    fn new(rows: &[PackedRow], length: usize, device: &B::Device) -> Self {
        let first = rows.first().map_or(0, |row| row.tokens().start);
        let mut cell_tokens = vec![0; rows.len() * length];
        let mut token_cells = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            for (offset, token) in row.tokens().enumerate() {
                let cell = index * length + offset;
                cell_tokens[cell] = (token - first) as i32;
                token_cells.push(cell as i32);
            }
        }
        Self {
            cell_tokens: indices(cell_tokens.into_iter(), device),
            token_cells: indices(token_cells.into_iter(), device),
        }
    }
}

/// One causal mask for all rows where none branches, else one mask per row.
fn mask<B: Backend>(
    rows: &[PackedRow],
    heads: Heads,
    length: usize,
    device: &B::Device,
) -> Tensor<B, 4> {
    let masks = if rows.iter().all(PackedRow::is_causal) {
        1
    } else {
        rows.len()
    };
    let mut values = vec![HIDDEN; masks * length * length];
    for (row, mask) in rows.iter().zip(values.chunks_exact_mut(length * length)) {
        let start = row.tokens().start;
        for segment in &row.segments {
            for token in segment.tokens.clone() {
                let cells = &mut mask[(token - start) * length..][..length];
                for seen in heads.seen(segment, token) {
                    cells[seen.start - start..seen.end - start].fill(0.0);
                }
            }
        }
        // padding must see something, or its softmax is not a number: what tokens of a longer row would see
        let lone = Segment {
            tokens: start..start + length,
            context: start..start,
        };
        for padding in row.len()..length {
            let [_, seen] = heads.seen(&lone, start + padding);
            mask[padding * length..][seen.start - start..seen.end - start].fill(0.0);
        }
    }
    // a single mask was filled from the first row only, which may be shorter than the longest:
    // its padding sees what theirs does not, and their tokens do
    let shape = [masks, 1, length, length];
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lengths: &[usize]) -> Vec<PackedRow> {
        let sequences: Vec<Vec<u32>> = lengths.iter().map(|length| vec![0; *length]).collect();
        Packing::whole(&sequences).rows
    }

    #[test]
    fn groups_bound_padding_and_memory() {
        assert_eq!(group(&rows(&[8, 7, 6, 5, 4]), 2), [0..3, 3..5]);
        assert_eq!(group(&rows(&[4, 8]), 2), [0..1, 1..2]);
        // 2^25 scores: 8 heads x 1024 x 1024 x 4 rows
        assert_eq!(group(&rows(&[1024; 6]), 8), [0..4, 4..6]);
        // one row may be larger than that
        assert_eq!(group(&rows(&[4096, 4096]), 12), [0..1, 1..2]);
    }
}
