//! Keys and values of the tokens that were run.

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Tensor, TensorData};

use crate::attention::{HIDDEN, Heads};
use crate::backend::ModelBackend;
use crate::backend::plain::{before, by_heads, of_type, shared, to_f32, visible};
use crate::decoder::{Decoder, device, prefix_of};
use crate::indices::indices;
use crate::packing::Packing;
use crate::run::{Layouts, attend as attend_packed, run_with};

/// What new tokens need to know of those before them: one row per sequence that is being continued.
///
/// Rows are padded at the left, so that the next token stands in the same column everywhere; padding
/// is never seen, and counts for no position.
pub(super) struct Cache<B: ModelBackend> {
    /// Keys and values of each layer, `[rows, heads, columns, head width]`; those of an adapter's prefix first.
    layers: Vec<[Tensor<B, 4>; 2]>,
    /// `[rows, 1, 1, columns]` f32, added to the scores.
    mask: Tensor<B, 4>,
    /// Position of each row's next token.
    next: Vec<u32>,
}

impl<B: ModelBackend> Cache<B> {
    /// Runs the prompts, and gives what the layers make of the last token of each, `[prompts, hidden]`.
    /// The prompts must have been checked.
    pub fn prefill<D: Decoder<Backend = B>>(model: &D, prompts: &[&[u32]]) -> (Self, Tensor<B, 2>) {
        let packing = Packing::whole(prompts);
        let device = device(model);
        let heads = model.heads(0).key_value;
        let columns = prompts.iter().map(|ids| ids.len()).max().unwrap_or(0);

        // cell by cell, the packed token it holds, counted from 1; 0 is padding
        let mut cells = vec![0; prompts.len() * columns];
        let mut hidden = vec![HIDDEN; cells.len()];
        let mut ends = Vec::with_capacity(prompts.len());
        for (index, row) in packing.rows.iter().enumerate() {
            let end = (index + 1) * columns;
            let real = end - row.len()..end;
            hidden[real.clone()].fill(0.0);
            for (cell, token) in cells[real].iter_mut().zip(row.tokens()) {
                *cell = token as i32 + 1;
            }
            ends.push(row.tokens().end as i32 - 1);
        }
        let shape = [prompts.len(), 1, 1, columns];
        let mask = Tensor::from_data(TensorData::new(hidden, shape), (&device, DType::F32));
        let cells = indices(cells.into_iter(), &device);
        let spread = |packed: Tensor<B, 2>| {
            let [_, width] = packed.dims();
            let padding = Tensor::zeros([1, width], (&device, packed.dtype()));
            Tensor::cat(vec![padding, packed], 0)
                .select(0, cells.clone())
                .reshape([prompts.len(), columns, heads, width / heads])
                .swap_dims(1, 2)
        };
        let layouts = Layouts::new(model, &packing);
        let mut layers = Vec::with_capacity(model.layers().len());
        let run = run_with(model, &packing, None, |layer, [query, key, value]| {
            let rows = [spread(key.clone()), spread(value.clone())];
            layers.push(match prefix_of(&model.layers()[layer]) {
                None => rows,
                Some([first, second]) => {
                    let [keys, values] = rows;
                    [
                        before(by_heads(first, heads), keys),
                        before(by_heads(second, heads), values),
                    ]
                }
            });
            attend_packed(
                &model.layers()[layer],
                [query, key, value],
                layouts.of(layer),
            )
        });
        let cache = Self {
            mask: match layers.first() {
                // what stands before the prompts is a prefix, which every row sees
                Some([keys, _]) if keys.dims()[2] > columns => {
                    visible(keys.dims()[2] - columns, mask)
                }
                _ => mask,
            },
            layers,
            next: prompts.iter().map(|ids| ids.len() as u32).collect(),
        };
        (cache, run.select(0, indices(ends.into_iter(), &device)))
    }

    /// Runs one more token of each row, at the row's next position, and gives what the layers make of
    /// it, `[rows, hidden]`. The ids and the positions must exist.
    pub fn extend<D: Decoder<Backend = B>>(&mut self, model: &D, ids: &[u32]) -> Tensor<B, 2> {
        let packing = Packing {
            ids: ids.to_vec(),
            positions: self.next.clone(),
            rows: Vec::new(),
        };
        let seen = Tensor::zeros([ids.len(), 1, 1, 1], (&device(model), DType::F32));
        self.mask = Tensor::cat(vec![self.mask.clone(), seen], 3);
        self.next.iter_mut().for_each(|position| *position += 1);
        let (layers, mask) = (&mut self.layers, &self.mask);
        run_with(model, &packing, None, |layer, projected| {
            attend(projected, &mut layers[layer], mask, model.heads(layer))
        })
    }

    /// Keeps these rows, in this order; a row may be asked for more than once.
    pub fn select(&mut self, rows: &[usize]) {
        if rows.iter().copied().eq(0..self.next.len()) {
            return;
        }
        let chosen = indices(rows.iter().map(|row| *row as i32), &self.mask.device());
        for layer in &mut self.layers {
            for tensor in layer {
                *tensor = tensor.clone().select(0, chosen.clone());
            }
        }
        self.mask = self.mask.clone().select(0, chosen);
        self.next = rows.iter().map(|row| self.next[*row]).collect();
    }
}

/// Attention of one new token per row, `[rows, hidden]` each, whose key and value are appended.
fn attend<B: ModelBackend>(
    projected: [Tensor<B, 2>; 3],
    cached: &mut [Tensor<B, 4>; 2],
    mask: &Tensor<B, 4>,
    heads: Heads,
) -> Tensor<B, 2> {
    let [rows, hidden] = projected[0].dims();
    let [query, key, value] = projected;
    let query = query.reshape([rows, heads.query, 1, heads.width]);
    let [key, value] = [key, value].map(|x| x.reshape([rows, heads.key_value, 1, heads.width]));
    for (cached, new) in cached.iter_mut().zip([key, value]) {
        *cached = Tensor::cat(vec![cached.clone(), new], 2);
    }
    let [keys, values] = cached.clone().map(|each| shared(each, heads.group()));
    let dtype = query.dtype();
    // scaled before the product, so that half-precision scores stay in range
    let query = query.mul_scalar(heads.scale);
    let scores = to_f32(query.matmul(keys.swap_dims(2, 3))) + mask.clone();
    of_type(softmax(scores, 3), dtype)
        .matmul(values)
        .reshape([rows, hidden])
}
