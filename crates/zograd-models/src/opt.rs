//! The OPT decoder (arXiv 2205.01068), with the parameter names of Hugging Face.

use burn::module::{Module, Param, ParamId};
use burn::tensor::activation::{gelu, gelu_approximate, relu};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, Tensor};

use crate::adapter::{AdapterConfig, Prefix, Projection};
use crate::attention::{AttentionLayout, Heads};
use crate::backend::ModelBackend;
use crate::config::{Activation, OptConfig, POSITION_OFFSET};
use crate::indices::indices;
use crate::nn::{Embedding, LayerNorm, Linear};
use crate::packing::Packing;
use crate::parameters::{Fresh, ParameterSource};

/// Pattern of the path of the head's parameter, in a model whose head is a table of its own ([`Opt::untied`]).
pub const HEAD: &str = "lm_head.*";

/// An OPT language model.
///
/// A parameter's path in this module is its name in Hugging Face's `OPTForCausalLM` without the
/// leading `model.`, for example `decoder.layers.0.self_attn.q_proj.weight`, with the same shape.
/// The head is the token table (`decoder.embed_tokens.weight`): one parameter, used twice; unless the
/// configuration says otherwise (`tie_word_embeddings`).
#[derive(Module, Debug)]
pub struct Opt<B: Backend> {
    /// The whole network.
    pub(crate) decoder: Decoder<B>,
    /// The head, `[vocab_size, word_embed_proj_dim]`, where it is not the token table.
    pub lm_head: Option<Embedding<B>>,
    #[module(skip)]
    config: OptConfig,
    #[module(skip)]
    pub(crate) adapter: Option<AdapterConfig>,
}

/// The tables, the layers, and what stands between them and the head.
#[derive(Module, Debug)]
pub struct Decoder<B: Backend> {
    /// Token table, `[vocab_size, word_embed_proj_dim]`; also the head.
    pub(crate) embed_tokens: Embedding<B>,
    /// Position table, `[max_position_embeddings + 2, hidden_size]`.
    pub(crate) embed_positions: Embedding<B>,
    /// From `word_embed_proj_dim` to `hidden_size`, where they differ.
    pub(crate) project_in: Option<Linear<B>>,
    /// From `hidden_size` to `word_embed_proj_dim`, where they differ.
    pub(crate) project_out: Option<Linear<B>>,
    /// After the last layer, in pre-norm models.
    pub(crate) final_layer_norm: Option<LayerNorm<B>>,
    /// The layers, first to last.
    pub(crate) layers: Vec<DecoderLayer<B>>,
}

/// Attention and feed-forward with their residual connections.
#[derive(Module, Debug)]
pub struct DecoderLayer<B: Backend> {
    /// Causal self-attention.
    pub(crate) self_attn: Attention<B>,
    /// Norm of the attention block: before it, or after its residual (350m).
    pub(crate) self_attn_layer_norm: LayerNorm<B>,
    /// `[ffn_dim, hidden_size]`.
    pub(crate) fc1: Linear<B>,
    /// `[hidden_size, ffn_dim]`.
    pub(crate) fc2: Linear<B>,
    /// Norm of the feed-forward block: before it, or after its residual (350m).
    pub(crate) final_layer_norm: LayerNorm<B>,
}

/// The four projections of multi-head attention, each `[hidden_size, hidden_size]`.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// Queries.
    pub(crate) q_proj: Linear<B>,
    /// Keys.
    pub(crate) k_proj: Linear<B>,
    /// Values.
    pub(crate) v_proj: Linear<B>,
    /// From the heads back to the residual stream.
    pub(crate) out_proj: Linear<B>,
    /// Keys and values of an adapter, which every token sees.
    pub(crate) prefix: Option<Prefix<B>>,
}

impl<B: ModelBackend> Opt<B> {
    /// An untrained f32 model: matrices and tables N(0, `init_std`), biases 0, norms 1. The
    /// numbers come from burn's generator for the device; `B::seed(device, seed)` fixes them.
    pub fn init(config: &OptConfig, device: &B::Device) -> Self {
        Self::init_with_dtype(config, DType::F32, device)
    }

    /// [`Opt::init`] with weights of another float dtype.
    ///
    /// # Panics
    /// The backend cannot hold `dtype`.
    pub fn init_with_dtype(config: &OptConfig, dtype: DType, device: &B::Device) -> Self {
        let mut fresh = Fresh::<B> {
            std: config.init_std,
            dtype,
            device,
        };
        let Ok(model) = Self::build(config, &mut fresh);
        model
    }

    pub(crate) fn build<S: ParameterSource<B>>(
        config: &OptConfig,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        let (hidden, embed) = (config.hidden_size, config.word_embed_proj_dim);
        let tokens = [config.vocab_size, embed];
        let positions = [config.max_position_embeddings + POSITION_OFFSET, hidden];
        let projected = config.has_projections();
        let mut project = |name: &str, widths| {
            projected
                .then(|| Linear::build(source, name, widths, false))
                .transpose()
        };
        let project_in = project("decoder.project_in", [embed, hidden])?;
        let project_out = project("decoder.project_out", [hidden, embed])?;
        let decoder = Decoder {
            embed_tokens: Embedding::build(source, "decoder.embed_tokens", tokens)?,
            embed_positions: Embedding::build(source, "decoder.embed_positions", positions)?,
            project_in,
            project_out,
            final_layer_norm: config
                .has_final_layer_norm()
                .then(|| LayerNorm::build(source, "decoder.final_layer_norm", hidden))
                .transpose()?,
            layers: (0..config.num_hidden_layers)
                .map(|index| DecoderLayer::build(config, source, index))
                .collect::<Result<_, _>>()?,
        };
        let lm_head = (!config.tie_word_embeddings)
            .then(|| Embedding::build(source, "lm_head", tokens))
            .transpose()?;
        Ok(Self {
            decoder,
            lm_head,
            config: config.clone(),
            adapter: None,
        })
    }

    /// The device of the weights.
    pub fn device(&self) -> B::Device {
        self.decoder.embed_tokens.weight.val().device()
    }

    /// Float type of the weights; [`ModelBackend::activations`] is that of what flows between the layers.
    pub fn dtype(&self) -> DType {
        self.decoder.embed_tokens.weight.val().dtype()
    }

    /// What the layers make of packed tokens: `[tokens, hidden_size]`, before the final norm.
    /// The packing must have been checked against the configuration.
    pub(crate) fn run(&self, packing: &Packing) -> Tensor<B, 2> {
        self.run_at(packing, None)
    }

    /// [`Opt::run`] for the tokens in `read` alone, `[read, hidden_size]`, if there is such a list:
    /// the last layer gives every token's key and value and stops there for the others.
    pub(crate) fn run_at(&self, packing: &Packing, read: Option<&[usize]>) -> Tensor<B, 2> {
        let layout = AttentionLayout::new(packing, self.heads());
        self.run_with(packing, read, |layer, projected| {
            self.attend(layer, projected, &layout)
        })
    }

    /// What packed tokens attend to in a layer: each other, as the layout says, and the layer's prefix if it has
    /// one. Queries, keys and values are `[tokens, hidden]`, and so is the result.
    pub(crate) fn attend(
        &self,
        layer: usize,
        projected: [Tensor<B, 2>; 3],
        layout: &AttentionLayout<B>,
    ) -> Tensor<B, 2> {
        self.decoder.layers[layer]
            .self_attn
            .attend(projected, layout)
    }

    /// The keys and values of an adapter in a layer, `[tokens, hidden]` each.
    pub(crate) fn prefix(&self, layer: usize) -> Option<[Tensor<B, 2>; 2]> {
        self.decoder.layers[layer].self_attn.prefix()
    }

    /// [`Opt::run_at`] with the attention left to `attend`: it gets the number of the layer and the
    /// queries, keys and values of the tokens, each `[tokens, hidden]`, and gives what they attend
    /// to, `[tokens, hidden]`.
    pub(crate) fn run_with(
        &self,
        packing: &Packing,
        read: Option<&[usize]>,
        mut attend: impl FnMut(usize, [Tensor<B, 2>; 3]) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let device = self.device();
        let decoder = &self.decoder;
        let mut x = self.embedded(packing);
        let read = read.map(|tokens| indices(tokens.iter().map(|token| *token as i32), &device));
        let last = decoder.layers.len() - 1;
        for (index, layer) in decoder.layers.iter().enumerate() {
            let read = read.as_ref().filter(|_| index == last);
            x = layer.forward(x, &self.config, read, |projected| attend(index, projected));
        }
        x
    }

    /// What the first layer is given: `[tokens, hidden_size]`.
    pub(crate) fn embedded(&self, packing: &Packing) -> Tensor<B, 2> {
        let (device, decoder) = (self.device(), &self.decoder);
        let ids = indices(packing.ids.iter().map(|id| *id as i32), &device);
        let positions = indices(packing.position_rows().into_iter(), &device);
        let tokens = decoder.embed_tokens.forward(ids);
        let positions = decoder.embed_positions.forward(positions);
        embedded(tokens, decoder.project_in.as_ref(), positions)
    }

    /// Vocabulary logits of the rows of [`Opt::run`]: `[rows, vocab_size]`, f32 or wider.
    pub(crate) fn head(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        B::packed_logits(self.before_head(x), self.head_table().weight.val())
    }

    /// What the head is given for the rows of [`Opt::run`]: `[rows, word_embed_proj_dim]`.
    pub(crate) fn before_head(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let decoder = &self.decoder;
        let (norm, project_out) = (&decoder.final_layer_norm, &decoder.project_out);
        before_head(x, norm.as_ref(), project_out.as_ref())
    }
}

/// What the first layer is given for rows of the two tables.
pub(crate) fn embedded<B: ModelBackend>(
    tokens: Tensor<B, 2>,
    project_in: Option<&Linear<B>>,
    positions: Tensor<B, 2>,
) -> Tensor<B, 2> {
    let tokens = match project_in {
        Some(project_in) => project_in.forward(tokens),
        None => tokens,
    };
    B::packed_add(tokens, positions)
}

/// What the head is given for what the last layer gives.
pub(crate) fn before_head<B: ModelBackend>(
    mut x: Tensor<B, 2>,
    norm: Option<&LayerNorm<B>>,
    project_out: Option<&Linear<B>>,
) -> Tensor<B, 2> {
    if let Some(norm) = norm {
        x = norm.forward(x);
    }
    if let Some(project_out) = project_out {
        x = project_out.forward(x);
    }
    x
}

impl<B: Backend> Opt<B> {
    /// The shape of the model.
    pub fn config(&self) -> &OptConfig {
        &self.config
    }

    /// The heads of every layer.
    pub(crate) fn heads(&self) -> Heads {
        let heads = self.config.num_attention_heads;
        Heads::plain(heads, self.config.hidden_size / heads)
    }

    /// The token table, `[vocab_size, word_embed_proj_dim]`; also the head, if that has no table of its own.
    pub fn token_table(&self) -> &Embedding<B> {
        &self.decoder.embed_tokens
    }

    /// The table of the head: its own, or the token table.
    pub(crate) fn head_table(&self) -> &Embedding<B> {
        self.lm_head.as_ref().unwrap_or(&self.decoder.embed_tokens)
    }

    /// A linear map of a layer; `None` beyond the last layer.
    pub fn projection(&self, layer: usize, which: Projection) -> Option<&Linear<B>> {
        let layer = self.decoder.layers.get(layer);
        layer.map(|layer| layer.projection(which))
    }

    /// [`Opt::projection`], to change it.
    pub fn projection_mut(&mut self, layer: usize, which: Projection) -> Option<&mut Linear<B>> {
        let layer = self.decoder.layers.get_mut(layer);
        layer.map(|layer| layer.projection_mut(which))
    }

    /// The model with a head of its own, which begins as a copy of the token table: the same function, until
    /// one of the two moves.
    pub fn untied(mut self) -> Self {
        if self.lm_head.is_none() {
            let table = self.decoder.embed_tokens.weight.val().require_grad();
            self.lm_head = Some(Embedding {
                weight: Param::initialized(ParamId::new(), table),
            });
            self.config = self.config.untied();
        }
        self
    }

    /// The adapter it has.
    pub fn adapter(&self) -> Option<&AdapterConfig> {
        self.adapter.as_ref()
    }
}

impl<B: ModelBackend> DecoderLayer<B> {
    fn build<S: ParameterSource<B>>(
        config: &OptConfig,
        source: &mut S,
        index: usize,
    ) -> Result<Self, S::Error> {
        let (hidden, ffn, bias) = (config.hidden_size, config.ffn_dim, config.enable_bias);
        let name = |part: &str| format!("decoder.layers.{index}.{part}");
        let mut linear = |part: &str, widths| Linear::build(source, &name(part), widths, bias);
        let self_attn = Attention {
            q_proj: linear("self_attn.q_proj", [hidden, hidden])?,
            k_proj: linear("self_attn.k_proj", [hidden, hidden])?,
            v_proj: linear("self_attn.v_proj", [hidden, hidden])?,
            out_proj: linear("self_attn.out_proj", [hidden, hidden])?,
            prefix: None,
        };
        let fc1 = linear("fc1", [hidden, ffn])?;
        let fc2 = linear("fc2", [ffn, hidden])?;
        let mut norm = |part: &str| LayerNorm::build(source, &name(part), hidden);
        Ok(Self {
            self_attn,
            fc1,
            fc2,
            self_attn_layer_norm: norm("self_attn_layer_norm")?,
            final_layer_norm: norm("final_layer_norm")?,
        })
    }

    pub(crate) fn forward(
        &self,
        x: Tensor<B, 2>,
        config: &OptConfig,
        read: Option<&Tensor<B, 1, Int>>,
        attend: impl FnOnce([Tensor<B, 2>; 3]) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let kept = |x: Tensor<B, 2>| match read {
            Some(read) => x.select(0, read.clone()),
            None => x,
        };
        let attention = |x| {
            self.self_attn
                .forward(x, |projected| kept(attend(projected)))
        };
        let x = residual(x, &self.self_attn_layer_norm, config, attention, kept);
        let feed_forward = |x| self.feed_forward(x, config.activation);
        residual(x, &self.final_layer_norm, config, feed_forward, |x| x)
    }

    fn feed_forward(&self, x: Tensor<B, 2>, activation: Activation) -> Tensor<B, 2> {
        let activate = match activation {
            // both at once, if there is nothing between them but what the backend knows
            Activation::Relu if self.fc1.is_plain() && self.fc2.is_plain() => {
                let (inner, outer) = (self.fc1.weight_and_bias(), self.fc2.weight_and_bias());
                return B::packed_feed_forward(x, inner, outer);
            }
            Activation::Relu => relu,
            Activation::Gelu => gelu,
            Activation::GeluTanh => gelu_approximate,
        };
        self.fc2.forward(activate(self.fc1.forward(x)))
    }
}

/// `x + block(norm(x))`, or `norm(x + block(x))` in the post-norm 350m, for the tokens of `x` that
/// `kept` selects and `block` answers for.
fn residual<B: ModelBackend>(
    x: Tensor<B, 2>,
    norm: &LayerNorm<B>,
    config: &OptConfig,
    block: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>,
    kept: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>,
) -> Tensor<B, 2> {
    if config.do_layer_norm_before {
        let y = block(norm.forward(x.clone()));
        B::packed_add(kept(x), y)
    } else {
        let y = block(x.clone());
        norm.forward(B::packed_add(kept(x), y))
    }
}

impl<B: ModelBackend> Attention<B> {
    /// What packed tokens attend to; see [`Opt::attend`].
    pub(crate) fn attend(
        &self,
        [query, key, value]: [Tensor<B, 2>; 3],
        layout: &AttentionLayout<B>,
    ) -> Tensor<B, 2> {
        B::packed_attention(self.prefix(), query, key, value, layout)
    }

    fn prefix(&self) -> Option<[Tensor<B, 2>; 2]> {
        let prefix = self.prefix.as_ref();
        prefix.map(|prefix| [prefix.keys.val(), prefix.values.val()])
    }

    fn forward(
        &self,
        x: Tensor<B, 2>,
        attend: impl FnOnce([Tensor<B, 2>; 3]) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let query = self.q_proj.forward(x.clone());
        let key = self.k_proj.forward(x.clone());
        let value = self.v_proj.forward(x);
        self.out_proj.forward(attend([query, key, value]))
    }
}
