//! The OPT decoder (arXiv 2205.01068), with the parameter names of Hugging Face.

pub(crate) mod config;
pub(crate) mod published;

use burn::module::Module;
use burn::tensor::activation::{gelu, gelu_approximate, relu};
use burn::tensor::backend::Backend;
use burn::tensor::{Device, Tensor};

use config::{Activation, OptConfig, POSITION_OFFSET};

use crate::adapter::{AdapterConfig, Prefix, Projection};
use crate::attention::Heads;
use crate::backend::ModelBackend;
use crate::config::ModelConfig;
use crate::decoder::{Decoder, DecoderLayer, LastNorm, Projected, Read};
use crate::nn::{Embedding, LayerNorm, Linear};
use crate::parameters::ParameterSource;
use crate::shape::Shape;

/// An OPT language model.
///
/// A parameter's path in this module is its name in Hugging Face's `OPTForCausalLM` without the
/// leading `model.`, for example `decoder.layers.0.self_attn.q_proj.weight`, with the same shape.
/// The head is the token table (`decoder.embed_tokens.weight`): one parameter, used twice; unless the
/// configuration says otherwise (`tie_word_embeddings`).
#[derive(Module, Debug)]
pub struct Opt<B: Backend> {
    /// The whole network.
    decoder: Stack<B>,
    /// The head, `[vocab_size, word_embed_proj_dim]`, where it is not the token table.
    pub(crate) lm_head: Option<Embedding<B>>,
    #[module(skip)]
    pub(crate) config: ModelConfig,
    #[module(skip)]
    settings: OptConfig,
    #[module(skip)]
    adapter: Option<AdapterConfig>,
}

/// The tables, the layers, and what stands between them and the head.
#[derive(Module, Debug)]
struct Stack<B: Backend> {
    /// Token table, `[vocab_size, word_embed_proj_dim]`; also the head.
    embed_tokens: Embedding<B>,
    /// Position table, `[max_position_embeddings + 2, hidden_size]`.
    embed_positions: Embedding<B>,
    /// From `word_embed_proj_dim` to `hidden_size`, where they differ.
    project_in: Option<Linear<B>>,
    /// From `hidden_size` to `word_embed_proj_dim`, where they differ.
    project_out: Option<Linear<B>>,
    /// After the last layer, in pre-norm models.
    final_layer_norm: Option<LayerNorm<B>>,
    /// The layers, first to last.
    layers: Vec<OptLayer<B>>,
}

/// Attention and feed-forward with their residual connections.
#[derive(Module, Debug)]
pub struct OptLayer<B: Backend> {
    /// Causal self-attention.
    self_attn: Attention<B>,
    /// Norm of the attention block: before it, or after its residual (350m).
    self_attn_layer_norm: LayerNorm<B>,
    /// `[ffn_dim, hidden_size]`.
    fc1: Linear<B>,
    /// `[hidden_size, ffn_dim]`.
    fc2: Linear<B>,
    /// Norm of the feed-forward block: before it, or after its residual (350m).
    final_layer_norm: LayerNorm<B>,
}

/// The four projections of multi-head attention, each `[hidden_size, hidden_size]`.
#[derive(Module, Debug)]
struct Attention<B: Backend> {
    /// Queries.
    q_proj: Linear<B>,
    /// Keys.
    k_proj: Linear<B>,
    /// Values.
    v_proj: Linear<B>,
    /// From the heads back to the residual stream.
    out_proj: Linear<B>,
    /// Keys and values of an adapter, which every token sees.
    prefix: Option<Prefix<B>>,
}

impl<B: ModelBackend> Opt<B> {
    pub(crate) fn build<S: ParameterSource<B>>(
        config: &ModelConfig,
        settings: &OptConfig,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        let (hidden, embed) = (config.hidden_size, settings.word_embed_proj_dim);
        let tokens = [config.vocab_size, embed];
        let positions = [config.max_position_embeddings + POSITION_OFFSET, hidden];
        let projected = embed != hidden;
        let mut project = |name: &str, widths| {
            projected
                .then(|| Linear::build(source, name, widths, false))
                .transpose()
        };
        let project_in = project("decoder.project_in", [embed, hidden])?;
        let project_out = project("decoder.project_out", [hidden, embed])?;
        let decoder = Stack {
            embed_tokens: Embedding::build(source, "decoder.embed_tokens", tokens)?,
            embed_positions: Embedding::build(source, "decoder.embed_positions", positions)?,
            project_in,
            project_out,
            final_layer_norm: settings
                .has_final_layer_norm()
                .then(|| LayerNorm::build(source, "decoder.final_layer_norm", hidden))
                .transpose()?,
            layers: (0..config.num_hidden_layers)
                .map(|index| OptLayer::build(hidden, settings, source, index))
                .collect::<Result<_, _>>()?,
        };
        let lm_head = (!config.tie_word_embeddings)
            .then(|| Embedding::build(source, "lm_head", tokens))
            .transpose()?;
        Ok(Self {
            decoder,
            lm_head,
            config: config.clone(),
            settings: settings.clone(),
            adapter: None,
        })
    }
}

impl<B: ModelBackend> Decoder for Opt<B> {
    type Backend = B;
    type Layer = OptLayer<B>;
    type Entry = Option<Linear<B>>;
    type Exit = (Option<LayerNorm<B>>, Option<Linear<B>>);
    type Places = ();

    const LAYERS: &'static str = "decoder.layers";
    const RUNS_BLOCKS: bool = true;

    fn shape(&self) -> Shape {
        self.config.shape()
    }

    fn token_table(&self) -> &Embedding<B> {
        &self.decoder.embed_tokens
    }

    fn head_table(&self) -> &Embedding<B> {
        self.lm_head.as_ref().unwrap_or(&self.decoder.embed_tokens)
    }

    fn position_table(&self) -> Option<(&Embedding<B>, usize)> {
        Some((&self.decoder.embed_positions, POSITION_OFFSET))
    }

    fn entry(&self) -> Self::Entry {
        self.decoder.project_in.clone()
    }

    fn exit(&self) -> Self::Exit {
        let decoder = &self.decoder;
        (
            decoder.final_layer_norm.clone(),
            decoder.project_out.clone(),
        )
    }

    fn last_norm_mut(&mut self) -> Option<LastNorm<'_, B>> {
        let projected = self.decoder.project_out.is_some();
        let norm = self.decoder.final_layer_norm.as_mut();
        norm.filter(|_| !projected).map(|norm| LastNorm {
            gain: &mut norm.weight,
            bias: Some(&mut norm.bias),
            offset: 0.0,
        })
    }

    fn layers(&self) -> &[OptLayer<B>] {
        &self.decoder.layers
    }

    fn layers_mut(&mut self) -> &mut [OptLayer<B>] {
        &mut self.decoder.layers
    }

    fn heads(&self, _layer: usize) -> Heads {
        Heads::plain(self.config.num_attention_heads, self.config.head_dim)
    }

    fn places(&self, _positions: &[u32], _device: &Device<B>) {}

    fn enter(
        &self,
        project_in: &Self::Entry,
        tokens: Tensor<B, 2>,
        positions: Option<Tensor<B, 2>>,
    ) -> Tensor<B, 2> {
        let tokens = match project_in {
            Some(project_in) => project_in.forward(tokens),
            None => tokens,
        };
        match positions {
            Some(positions) => B::packed_add(tokens, positions),
            None => tokens,
        }
    }

    fn leave(&self, (norm, project_out): &Self::Exit, mut x: Tensor<B, 2>) -> Tensor<B, 2> {
        if let Some(norm) = norm {
            x = norm.forward(x);
        }
        if let Some(project_out) = project_out {
            x = project_out.forward(x);
        }
        x
    }

    fn run_layer(
        &self,
        (_, layer): (usize, &OptLayer<B>),
        x: Tensor<B, 2>,
        _places: &(),
        read: Option<&Read<B>>,
        attend: impl FnOnce(Projected<B>) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        layer.forward(x, &self.settings, read, attend)
    }

    fn adapter(&self) -> Option<&AdapterConfig> {
        self.adapter.as_ref()
    }

    fn set_adapter(&mut self, adapter: Option<AdapterConfig>) {
        self.adapter = adapter;
    }

    fn own_head_mut(&mut self) -> &mut Option<Embedding<B>> {
        &mut self.lm_head
    }
}

impl<B: Backend> DecoderLayer for OptLayer<B> {
    type Backend = B;

    fn projection(&self, which: Projection) -> Option<&Linear<B>> {
        let attention = &self.self_attn;
        Some(match which {
            Projection::QProj => &attention.q_proj,
            Projection::KProj => &attention.k_proj,
            Projection::VProj => &attention.v_proj,
            Projection::OutProj => &attention.out_proj,
            Projection::Fc1 => &self.fc1,
            Projection::Fc2 => &self.fc2,
            _ => return None,
        })
    }

    fn projection_mut(&mut self, which: Projection) -> Option<&mut Linear<B>> {
        let attention = &mut self.self_attn;
        Some(match which {
            Projection::QProj => &mut attention.q_proj,
            Projection::KProj => &mut attention.k_proj,
            Projection::VProj => &mut attention.v_proj,
            Projection::OutProj => &mut attention.out_proj,
            Projection::Fc1 => &mut self.fc1,
            Projection::Fc2 => &mut self.fc2,
            _ => return None,
        })
    }

    fn prefix(&self) -> Option<&Prefix<B>> {
        self.self_attn.prefix.as_ref()
    }

    fn set_prefix(&mut self, prefix: Option<Prefix<B>>) {
        self.self_attn.prefix = prefix;
    }
}

impl<B: ModelBackend> OptLayer<B> {
    fn build<S: ParameterSource<B>>(
        hidden: usize,
        settings: &OptConfig,
        source: &mut S,
        index: usize,
    ) -> Result<Self, S::Error> {
        let (ffn, bias) = (settings.ffn_dim, settings.enable_bias);
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

    fn forward(
        &self,
        x: Tensor<B, 2>,
        settings: &OptConfig,
        read: Option<&Read<B>>,
        attend: impl FnOnce(Projected<B>) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let kept = |x: Tensor<B, 2>| match read {
            Some(read) => x.select(0, read.clone()),
            None => x,
        };
        let attention = |x| {
            self.self_attn
                .forward(x, |projected| kept(attend(projected)))
        };
        let x = residual(x, &self.self_attn_layer_norm, settings, attention, kept);
        let feed_forward = |x| self.feed_forward(x, settings.activation);
        residual(x, &self.final_layer_norm, settings, feed_forward, |x| x)
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
    settings: &OptConfig,
    block: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>,
    kept: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>,
) -> Tensor<B, 2> {
    if settings.do_layer_norm_before {
        let y = block(norm.forward(x.clone()));
        B::packed_add(kept(x), y)
    } else {
        let y = block(x.clone());
        norm.forward(B::packed_add(kept(x), y))
    }
}

impl<B: ModelBackend> Attention<B> {
    fn forward(
        &self,
        x: Tensor<B, 2>,
        attend: impl FnOnce(Projected<B>) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let query = self.q_proj.forward(x.clone());
        let key = self.k_proj.forward(x.clone());
        let value = self.v_proj.forward(x);
        self.out_proj.forward(attend([query, key, value]))
    }
}
