//! What a family of models has to say of itself, for all the rest to be written once.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Device, Int, Tensor};

use crate::adapter::{AdapterConfig, Prefix, Projection};
use crate::attention::Heads;
use crate::backend::ModelBackend;
use crate::nn::{Embedding, Linear};
use crate::shape::Shape;

/// A decoder-only transformer: a table of tokens, layers, and a head.
///
/// Scoring of packed plans, shared prompts, probes, adapters and generation are written over this trait, so a family is a
/// module with the parameter names of its files, and this. A decoder of your own is a [`LanguageModel`], too, for
/// [`LanguageModel`] is implemented for all of them.
///
/// The parts are modules, so that they can be asked for at other weights than those of the model
/// ([`Probe`](crate::Probe)); what runs them takes the part from its caller, and from `self` the settings alone.
///
/// [`LanguageModel`]: crate::LanguageModel
pub trait Decoder: Module<<Self as Decoder>::Backend> {
    /// What its tensors are computed by.
    type Backend: ModelBackend;

    /// A layer.
    type Layer: DecoderLayer<Backend = Self::Backend>;

    /// What tokens go through between the table and the first layer, besides positions.
    type Entry: Module<Self::Backend>;

    /// What they go through between the last layer and the head.
    type Exit: Module<Self::Backend>;

    /// What layers need to know of the positions of the tokens: made once a pass.
    type Places;

    /// Path of the layers: `layers` if the first parameter of the first layer is called `layers.0.…`.
    const LAYERS: &'static str;

    /// Whether its layers run tokens in blocks, each with vectors of its own, which lie end to end in the parameters of one
    /// dimension: [`Linear`], [`LayerNorm`](crate::LayerNorm) and [`RmsNorm`](crate::RmsNorm) do, so it is true of layers that
    /// have no other vectors. Then probes of low rank go through a layer in one batch ([`Probe::added`](crate::Probe::added)).
    const RUNS_BLOCKS: bool = false;

    /// Its sizes.
    fn shape(&self) -> Shape;

    /// The token table, `[vocab_size, width]`.
    fn token_table(&self) -> &Embedding<Self::Backend>;

    /// The table of the head: its own, or the token table.
    fn head_table(&self) -> &Embedding<Self::Backend>;

    /// The table that the head has of its own, if it has one; it may be given one.
    fn own_head_mut(&mut self) -> &mut Option<Embedding<Self::Backend>>;

    /// The table of learned positions, if it has one, and the row of position 0.
    fn position_table(&self) -> Option<(&Embedding<Self::Backend>, usize)> {
        None
    }

    /// What tokens go through before the first layer.
    fn entry(&self) -> Self::Entry;

    /// What they go through after the last one.
    fn exit(&self) -> Self::Exit;

    /// The norm whose output is what the head is given, if there is one with nothing behind it.
    fn last_norm_mut(&mut self) -> Option<LastNorm<'_, Self::Backend>> {
        None
    }

    /// The layers, first to last.
    fn layers(&self) -> &[Self::Layer];

    /// [`Decoder::layers`], to change them.
    fn layers_mut(&mut self) -> &mut [Self::Layer];

    /// Which heads a layer has, and how far they see.
    fn heads(&self, layer: usize) -> Heads;

    /// What layers need to know of these positions, one a packed token.
    fn places(&self, positions: &[u32], device: &Device<Self::Backend>) -> Self::Places;

    /// What the first layer is given for rows of the token table, `[tokens, width]`, and of the table of positions:
    /// `[tokens, hidden]`.
    fn enter(
        &self,
        entry: &Self::Entry,
        tokens: Tensor<Self::Backend, 2>,
        positions: Option<Tensor<Self::Backend, 2>>,
    ) -> Tensor<Self::Backend, 2>;

    /// What the head is given for what the last layer makes of tokens: `[tokens, width of the head's table]`.
    fn leave(&self, exit: &Self::Exit, x: Tensor<Self::Backend, 2>) -> Tensor<Self::Backend, 2>;

    /// What a layer makes of the tokens `x`, `[tokens, hidden]`: of all, or of those in `read` alone. `layer` is its number and itself, or
    /// layer `index` with other weights.
    ///
    /// `attend` is given the queries, keys and values of all tokens as they are to be compared (rotated to their places,
    /// if the family does so), each `[tokens, heads * width]`, and gives what the tokens attend to.
    fn run_layer(
        &self,
        layer: (usize, &Self::Layer),
        x: Tensor<Self::Backend, 2>,
        places: &Self::Places,
        read: Option<&Read<Self::Backend>>,
        attend: impl FnOnce(Projected<Self::Backend>) -> Tensor<Self::Backend, 2>,
    ) -> Tensor<Self::Backend, 2>;

    /// The adapter it has.
    fn adapter(&self) -> Option<&AdapterConfig>;

    /// Says which adapter it has, whose tensors are in the layers.
    fn set_adapter(&mut self, adapter: Option<AdapterConfig>);

    /// Whether weight decay acts on the parameter with this path: by default not on biases and norms.
    fn decays(&self, parameter: &str) -> bool {
        !["bias", "norm"].iter().any(|part| parameter.contains(part))
    }
}

/// The norm before the head: `x / |x| * (offset + gain) + bias`, with the length of whatever norm it is.
pub struct LastNorm<'m, B: Backend> {
    /// `[width]`.
    pub gain: &'m mut Param<Tensor<B, 1>>,
    /// `[width]`, where the norm has one.
    pub bias: Option<&'m mut Param<Tensor<B, 1>>>,
    /// What is added to the gain: 1 in Gemma, else 0.
    pub offset: f64,
}

/// Queries, keys and values.
pub type Projected<B> = [Tensor<B, 2>; 3];

/// The packed tokens that are read after the last layer, ascending.
pub type Read<B> = Tensor<B, 1, Int>;

/// A layer of a [`Decoder`].
pub trait DecoderLayer: Module<<Self as DecoderLayer>::Backend> {
    /// What its tensors are computed by.
    type Backend: Backend;

    /// The linear map of this name, if the family has it.
    fn projection(&self, which: Projection) -> Option<&Linear<Self::Backend>>;

    /// [`DecoderLayer::projection`], to change it.
    fn projection_mut(&mut self, which: Projection) -> Option<&mut Linear<Self::Backend>>;

    /// Keys and values of an adapter, which every token sees.
    fn prefix(&self) -> Option<&Prefix<Self::Backend>>;

    /// Gives the layer such keys and values, or takes them away.
    fn set_prefix(&mut self, prefix: Option<Prefix<Self::Backend>>);
}

/// The device of a model's weights.
pub(crate) fn device<D: Decoder>(model: &D) -> Device<D::Backend> {
    model.token_table().weight.val().device()
}

/// Float type of the weights; [`ModelBackend::activations`] is that of what flows between the layers.
pub(crate) fn dtype<D: Decoder>(model: &D) -> DType {
    model.token_table().weight.val().dtype()
}

/// The keys and values of a prefix.
pub(crate) fn prefix_of<L: DecoderLayer>(layer: &L) -> Option<[Tensor<L::Backend, 2>; 2]> {
    let prefix = layer.prefix();
    prefix.map(|prefix| [&prefix.keys, &prefix.values].map(Param::val))
}
