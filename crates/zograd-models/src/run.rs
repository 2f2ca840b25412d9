//! How packed tokens go through a model of any family.

use burn::tensor::backend::Backend;
use burn::tensor::{Device, Tensor};

use crate::attention::{AttentionLayout, Heads};
use crate::backend::ModelBackend;
use crate::decoder::{Decoder, DecoderLayer, Projected, Read, device, prefix_of};
use crate::error::ModelError;
use crate::indices::indices;
use crate::interrupt::go_on;
use crate::packing::Packing;

/// Who attends to whom in each layer: one layout for all layers that have the same heads and see as far.
pub(crate) struct Layouts<B: Backend> {
    distinct: Vec<AttentionLayout<B>>,
    /// Which of them a layer has.
    of_layer: Vec<usize>,
}

impl<B: ModelBackend> Layouts<B> {
    pub fn new<D: Decoder<Backend = B>>(model: &D, packing: &Packing) -> Self {
        let mut heads: Vec<Heads> = Vec::new();
        let layers = 0..model.layers().len();
        let of_layer = layers.map(|layer| {
            let these = model.heads(layer);
            heads
                .iter()
                .position(|known| *known == these)
                .unwrap_or_else(|| {
                    heads.push(these);
                    heads.len() - 1
                })
        });
        let of_layer = of_layer.collect();
        let distinct = heads.into_iter();
        Self {
            distinct: distinct
                .map(|heads| AttentionLayout::new(packing, heads))
                .collect(),
            of_layer,
        }
    }

    /// The layout of a layer of the model.
    pub fn of(&self, layer: usize) -> &AttentionLayout<B> {
        &self.distinct[self.of_layer[layer]]
    }
}

/// What the layers make of packed tokens, `[tokens, hidden]`; of those in `read` alone, `[read, hidden]`, if there is such
/// a list: the last layer gives every token's key and value and stops there for the others. The packing must have been
/// checked against the model.
///
/// # Errors
/// [`ModelError::Interrupted`].
pub(crate) fn run<D: Decoder>(
    model: &D,
    packing: &Packing,
    read: Option<&[usize]>,
) -> Result<Tensor<D::Backend, 2>, ModelError> {
    let layouts = Layouts::new(model, packing);
    run_with(model, packing, read, |layer, projected| {
        attend(&model.layers()[layer], projected, layouts.of(layer))
    })
}

/// [`run`] with the attention left to `attend`: it gets the number of the layer and the queries, keys and values of the
/// tokens, and gives what they attend to.
pub(crate) fn run_with<D: Decoder>(
    model: &D,
    packing: &Packing,
    read: Option<&[usize]>,
    mut attend: impl FnMut(usize, Projected<D::Backend>) -> Tensor<D::Backend, 2>,
) -> Result<Tensor<D::Backend, 2>, ModelError> {
    let device = device(model);
    let mut x = embedded(model, packing);
    let places = model.places(&packing.positions, &device);
    let read = read.map(|tokens| rows::<D::Backend>(tokens, &device));
    let layers = model.layers();
    for (index, layer) in layers.iter().enumerate() {
        go_on()?;
        let read = read.as_ref().filter(|_| index + 1 == layers.len());
        x = model.run_layer((index, layer), x, &places, read, |projected| {
            attend(index, projected)
        });
    }
    Ok(x)
}

/// The places of tokens, for the device.
pub(crate) fn rows<B: Backend>(tokens: &[usize], device: &Device<B>) -> Read<B> {
    indices(tokens.iter().map(|token| *token as i32), device)
}

/// What packed tokens attend to in a layer: each other, as the layout says, and the layer's prefix if it has one.
pub(crate) fn attend<L: DecoderLayer>(
    layer: &L,
    [query, key, value]: Projected<L::Backend>,
    layout: &AttentionLayout<L::Backend>,
) -> Tensor<L::Backend, 2>
where
    L::Backend: ModelBackend,
{
    L::Backend::packed_attention(prefix_of(layer), query, key, value, layout)
}

/// What the first layer is given: `[tokens, hidden]`.
pub(crate) fn embedded<D: Decoder>(model: &D, packing: &Packing) -> Tensor<D::Backend, 2> {
    let device = device(model);
    let ids = indices(packing.ids.iter().map(|id| *id as i32), &device);
    let tokens = model.token_table().forward(ids);
    let positions = model.position_table().map(|(table, first)| {
        let rows = packing.positions.iter();
        let rows = rows.map(|position| *position as i32 + first as i32);
        table.forward(indices(rows, &device))
    });
    model.enter(&model.entry(), tokens, positions)
}

/// What the head is given for the rows of [`run`]: `[rows, width of the head's table]`.
pub(crate) fn before_head<D: Decoder>(
    model: &D,
    x: Tensor<D::Backend, 2>,
) -> Tensor<D::Backend, 2> {
    model.leave(&model.exit(), x)
}

/// Vocabulary logits of the rows of [`run`]: `[rows, vocab_size]`, f32 or wider.
pub(crate) fn head<D: Decoder>(model: &D, x: Tensor<D::Backend, 2>) -> Tensor<D::Backend, 2> {
    let table = model.head_table().weight.val();
    D::Backend::packed_logits(before_head(model, x), table)
}
