//! What the tokens of a tail attend to: the keys and values of the other tokens, which are held fixed, and their own.

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::attention::{HIDDEN, Heads, group};
use crate::backend::ModelBackend;
use crate::backend::plain::{attend, before, by_heads, shared, visible};
use crate::decoder::Projected;
use crate::indices::indices;
use crate::packing::PackedRow;
use crate::plan::Plan;

/// Who is seen by the tokens that are read, for layers with the same heads.
pub(super) struct TailLayout<B: ModelBackend> {
    pub(super) heads: Heads,
    rectangles: Vec<Rectangle<B>>,
}

/// Rows of similar length, padded at the end.
struct Rectangle<B: ModelBackend> {
    rows: usize,
    /// Tokens that are read, and tokens, of a row at most.
    sides: [usize; 2],
    /// For each cell the token that asks, among those that are read.
    asking: Tensor<B, 1, Int>,
    /// For each cell the token that is seen: all tokens as they were, and behind them those that are read.
    seen: Tensor<B, 1, Int>,
    /// The cell of each token that is read.
    answers: Tensor<B, 1, Int>,
    /// `[rows, 1, read, tokens]`, f32.
    mask: Tensor<B, 4>,
}

impl<B: ModelBackend> TailLayout<B> {
    pub(super) fn new(plan: &Plan, heads: Heads, device: &B::Device) -> Self {
        let rows = plan.rows();
        let rectangles = group(rows, heads.query).into_iter();
        Self {
            heads,
            rectangles: rectangles
                .map(|range| Rectangle::new(plan, &rows[range], heads, device))
                .collect(),
        }
    }

    /// What the tokens that are read attend to: `kept` are the keys and values of all tokens, `prefix` those of an adapter.
    pub(super) fn attend(
        &self,
        prefix: Option<[Tensor<B, 2>; 2]>,
        [query, key, value]: Projected<B>,
        [keys, values]: [Tensor<B, 2>; 2],
    ) -> Tensor<B, 2> {
        let heads = self.heads;
        let query = query.mul_scalar(heads.scale);
        let all = [(keys, key), (values, value)].map(|(kept, own)| Tensor::cat(vec![kept, own], 0));
        let prefix = prefix.map(|of| of.map(|tensor| by_heads(tensor, heads.key_value)));
        let attended = self.rectangles.iter().map(|rectangle| {
            let [read, tokens] = rectangle.sides;
            let cells = |of: Tensor<B, 2>, cells: &Tensor<B, 1, Int>, length, count| {
                let shape = [rectangle.rows, length, count, heads.width];
                of.select(0, cells.clone()).reshape(shape).swap_dims(1, 2)
            };
            let q = cells(query.clone(), &rectangle.asking, read, heads.query);
            let of =
                |of: &Tensor<B, 2>| cells(of.clone(), &rectangle.seen, tokens, heads.key_value);
            let [mut k, mut v] = [of(&all[0]), of(&all[1])];
            let mut mask = rectangle.mask.clone();
            if let Some([keys, values]) = prefix.clone() {
                let [_, _, more, _] = keys.dims();
                (k, v) = (before(keys, k), before(values, v));
                mask = visible(more, mask);
            }
            let [k, v] = [k, v].map(|each| shared(each, heads.group()));
            attend(q, k, v, mask)
                .swap_dims(1, 2)
                .reshape([rectangle.rows * read, heads.query * heads.width])
                .select(0, rectangle.answers.clone())
        });
        Tensor::cat(attended.collect(), 0)
    }
}

impl<B: ModelBackend> Rectangle<B> {
    fn new(plan: &Plan, rows: &[PackedRow], heads: Heads, device: &B::Device) -> Self {
        let all = plan.ids().len();
        let read = plan.logit_tokens();
        // the tokens of a row that are read, by their numbers among all that are
        let read_of = |row: &PackedRow| -> Range<usize> {
            let tokens = row.tokens();
            let place = |token| read.partition_point(|other| *other < token);
            place(tokens.start)..place(tokens.end)
        };
        let asks = rows.iter().map(|row| read_of(row).len());
        let asks = asks.max().unwrap_or(0).max(1);
        let length = rows.iter().map(PackedRow::len).max().unwrap_or(0).max(1);
        let mut asking = vec![0; rows.len() * asks];
        let mut seen = vec![0; rows.len() * length];
        let mut mask = vec![HIDDEN; rows.len() * asks * length];
        let mut answers = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let start = row.tokens().start;
            for token in row.tokens() {
                let own = read.binary_search(&token).map(|place| all + place);
                seen[index * length + token - start] = own.unwrap_or(token) as i32;
            }
            for (offset, place) in read_of(row).enumerate() {
                let cell = index * asks + offset;
                asking[cell] = place as i32;
                answers.push(cell as i32);
                let token = read[place];
                let Some(segment) = plan.packing.segment_of(token) else {
                    continue;
                };
                let cells = &mut mask[cell * length..][..length];
                for seen in heads.seen(segment, token) {
                    cells[seen.start - start..seen.end - start].fill(0.0);
                }
            }
            // a cell that nobody asks from sees something, or its softmax would not be a number
            for offset in read_of(row).len()..asks {
                mask[(index * asks + offset) * length] = 0.0;
            }
        }
        let shape = [rows.len(), 1, asks, length];
        let mask = Tensor::from_data(TensorData::new(mask, shape), (device, DType::F32));
        Self {
            rows: rows.len(),
            sides: [asks, length],
            asking: indices(asking.into_iter(), device),
            seen: indices(seen.into_iter(), device),
            answers: indices(answers.into_iter(), device),
            mask,
        }
    }
}
