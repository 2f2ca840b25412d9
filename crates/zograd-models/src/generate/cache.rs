//! Keys and values of the tokens that were run.

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Tensor, TensorData};

use crate::attention::{AttentionLayout, HIDDEN};
use crate::backend::ModelBackend;
use crate::backend::plain::{before, by_heads, of_type, to_f32, visible};
use crate::indices::indices;
use crate::opt::Opt;
use crate::packing::Packing;

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
    pub fn prefill(model: &Opt<B>, prompts: &[&[u32]]) -> (Self, Tensor<B, 2>) {
        let packing = Packing::whole(prompts);
        let device = model.device();
        let heads = model.config().num_attention_heads;
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
        let layout = AttentionLayout::new(&packing, model.heads());
        let mut layers = Vec::with_capacity(model.config().num_hidden_layers);
        let run = model.run_with(&packing, None, |layer, [query, key, value]| {
            let rows = [spread(key.clone()), spread(value.clone())];
            layers.push(match &model.decoder.layers[layer].self_attn.prefix {
                None => rows,
                Some(prefix) => {
                    let [keys, values] = rows;
                    [
                        before(by_heads(prefix.keys.val(), heads), keys),
                        before(by_heads(prefix.values.val(), heads), values),
                    ]
                }
            });
            model.attend(layer, [query, key, value], &layout)
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
    pub fn extend(&mut self, model: &Opt<B>, ids: &[u32]) -> Tensor<B, 2> {
        let packing = Packing {
            ids: ids.to_vec(),
            positions: self.next.clone(),
            rows: Vec::new(),
        };
        let seen = Tensor::zeros([ids.len(), 1, 1, 1], (&model.device(), DType::F32));
        self.mask = Tensor::cat(vec![self.mask.clone(), seen], 3);
        self.next.iter_mut().for_each(|position| *position += 1);
        let (layers, mask) = (&mut self.layers, &self.mask);
        model.run_with(&packing, None, |layer, projected| {
            attend(projected, &mut layers[layer], mask)
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
) -> Tensor<B, 2> {
    let [_, heads, _, width] = cached[0].dims();
    let [rows, hidden] = projected[0].dims();
    let [query, key, value] = projected.map(|x| x.reshape([rows, heads, 1, width]));
    for (cached, new) in cached.iter_mut().zip([key, value]) {
        *cached = Tensor::cat(vec![cached.clone(), new], 2);
    }
    let [keys, values] = cached.clone();
    let dtype = query.dtype();
    // scaled before the product, so that half-precision scores stay in range
    let query = query.mul_scalar((width as f64).powf(-0.5));
    let scores = to_f32(query.matmul(keys.swap_dims(2, 3))) + mask.clone();
    of_type(softmax(scores, 3), dtype)
        .matmul(values)
        .reshape([rows, hidden])
}
