//! Llama (arXiv 2302.13971), and the families that are Llama with other parts: Mistral, Qwen2, Qwen3, Gemma 3. What
//! each asks for is in its own file; here is what there is to ask for.
//!
//! ```text
//! x = x + [norm] attention(norm x)      queries and keys [normed and] rotated by their positions, grouped heads, [windows]
//! x = x + [norm] down(act(gate norm x) * up norm x)
//! ```

pub(crate) mod config;
pub(crate) mod published;

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Device, Tensor};

use config::LlamaConfig;

use crate::adapter::{AdapterConfig, Prefix, Projection};
use crate::attention::Heads;
use crate::backend::plain;
use crate::backend::{Gate, ModelBackend};
use crate::config::ModelConfig;
use crate::decoder::{Decoder, DecoderLayer, LastNorm, Projected, Read};
use crate::nn::{Embedding, Linear, RmsNorm, RmsNormSettings};
use crate::parameters::ParameterSource;
use crate::rotary::Rotation;
use crate::shape::Shape;

/// A language model of this kind.
///
/// A parameter's path in this module is its name in Hugging Face's files without the leading `model.`, for example
/// `layers.0.self_attn.q_proj.weight`, with the same shape.
#[derive(Module, Debug)]
pub struct Llama<B: Backend> {
    /// Token table, `[vocab_size, hidden_size]`.
    embed_tokens: Embedding<B>,
    layers: Vec<LlamaLayer<B>>,
    /// After the last layer.
    norm: RmsNorm<B>,
    /// The head, `[vocab_size, hidden_size]`, where it is not the token table.
    lm_head: Option<Embedding<B>>,
    #[module(skip)]
    pub(crate) config: ModelConfig,
    #[module(skip)]
    settings: LlamaConfig,
    #[module(skip)]
    adapter: Option<AdapterConfig>,
}

/// Attention and feed-forward with their residual connections.
#[derive(Module, Debug)]
pub struct LlamaLayer<B: Backend> {
    self_attn: Attention<B>,
    mlp: FeedForward<B>,
    /// Before attention.
    input_layernorm: RmsNorm<B>,
    /// Before the feed-forward layers; where there are norms after, after attention.
    post_attention_layernorm: RmsNorm<B>,
    /// Where there are norms after: before the feed-forward layers.
    pre_feedforward_layernorm: Option<RmsNorm<B>>,
    /// Where there are norms after: after the feed-forward layers.
    post_feedforward_layernorm: Option<RmsNorm<B>>,
}

#[derive(Module, Debug)]
struct Attention<B: Backend> {
    /// `[heads * head_dim, hidden_size]`.
    q_proj: Linear<B>,
    /// `[key/value heads * head_dim, hidden_size]`.
    k_proj: Linear<B>,
    /// As keys.
    v_proj: Linear<B>,
    /// `[hidden_size, heads * head_dim]`.
    o_proj: Linear<B>,
    /// Of each head of the queries, `[head_dim]`.
    q_norm: Option<RmsNorm<B>>,
    /// Of each head of the keys.
    k_norm: Option<RmsNorm<B>>,
    /// Keys and values of an adapter, which every token sees.
    prefix: Option<Prefix<B>>,
}

#[derive(Module, Debug)]
struct FeedForward<B: Backend> {
    /// `[intermediate_size, hidden_size]`.
    gate_proj: Linear<B>,
    /// As the gate.
    up_proj: Linear<B>,
    /// `[hidden_size, intermediate_size]`.
    down_proj: Linear<B>,
}

impl<B: ModelBackend> Llama<B> {
    pub(crate) fn build<S: ParameterSource<B>>(
        config: &ModelConfig,
        settings: &LlamaConfig,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        let tokens = [config.vocab_size, config.hidden_size];
        Ok(Self {
            embed_tokens: Embedding::build(source, "embed_tokens", tokens)?,
            layers: (0..config.num_hidden_layers)
                .map(|index| LlamaLayer::build(config, settings, source, index))
                .collect::<Result<_, _>>()?,
            norm: RmsNorm::build(source, "norm", config.hidden_size, settings.norm())?,
            lm_head: (!config.tie_word_embeddings)
                .then(|| Embedding::build(source, "lm_head", tokens))
                .transpose()?,
            config: config.clone(),
            settings: settings.clone(),
            adapter: None,
        })
    }
}

impl<B: ModelBackend> Decoder for Llama<B> {
    type Backend = B;
    type Layer = LlamaLayer<B>;
    /// Tokens go through nothing.
    type Entry = Option<Linear<B>>;
    type Exit = RmsNorm<B>;
    type Places = Vec<Rotation<B>>;

    const LAYERS: &'static str = "layers";
    const RUNS_BLOCKS: bool = true;

    fn shape(&self) -> Shape {
        self.config.shape()
    }

    fn token_table(&self) -> &Embedding<B> {
        &self.embed_tokens
    }

    fn head_table(&self) -> &Embedding<B> {
        self.lm_head.as_ref().unwrap_or(&self.embed_tokens)
    }

    fn own_head_mut(&mut self) -> &mut Option<Embedding<B>> {
        &mut self.lm_head
    }

    fn entry(&self) -> Self::Entry {
        None
    }

    fn exit(&self) -> Self::Exit {
        self.norm.clone()
    }

    fn last_norm_mut(&mut self) -> Option<LastNorm<'_, B>> {
        let offset = self.norm.settings.offset;
        Some(LastNorm {
            gain: &mut self.norm.weight,
            bias: None,
            offset,
        })
    }

    fn layers(&self) -> &[LlamaLayer<B>] {
        &self.layers
    }

    fn layers_mut(&mut self) -> &mut [LlamaLayer<B>] {
        &mut self.layers
    }

    fn heads(&self, layer: usize) -> Heads {
        Heads {
            query: self.config.num_attention_heads,
            key_value: self.config.num_key_value_heads,
            width: self.config.head_dim,
            window: self.settings.layers[layer].window,
            scale: self.settings.score_scale,
        }
    }

    fn places(&self, positions: &[u32], device: &Device<B>) -> Self::Places {
        let rotations = self.settings.rotations.iter();
        rotations
            .map(|frequencies| Rotation::new(positions, frequencies, device))
            .collect()
    }

    fn enter(
        &self,
        _entry: &Self::Entry,
        tokens: Tensor<B, 2>,
        _positions: Option<Tensor<B, 2>>,
    ) -> Tensor<B, 2> {
        match self.settings.embedding_scale {
            1.0 => tokens,
            scale => tokens.mul_scalar(scale),
        }
    }

    fn leave(&self, norm: &RmsNorm<B>, x: Tensor<B, 2>) -> Tensor<B, 2> {
        norm.forward(x)
    }

    fn run_layer(
        &self,
        (index, layer): (usize, &LlamaLayer<B>),
        x: Tensor<B, 2>,
        places: &Vec<Rotation<B>>,
        read: Option<&Read<B>>,
        attend: impl FnOnce(Projected<B>) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let kept = |x: Tensor<B, 2>| match read {
            Some(read) => x.select(0, read.clone()),
            None => x,
        };
        let rotation = &places[self.settings.layers[index].rotation];
        let width = self.config.head_dim;
        let y = layer.input_layernorm.forward(x.clone());
        let mut y = layer
            .self_attn
            .forward(y, (rotation, width), |projected| kept(attend(projected)));
        let before_feed_forward = match &layer.pre_feedforward_layernorm {
            Some(norm) => {
                y = layer.post_attention_layernorm.forward(y);
                norm
            }
            None => &layer.post_attention_layernorm,
        };
        let x = B::packed_add(kept(x), y);
        let y = before_feed_forward.forward(x.clone());
        let mut y = layer.mlp.forward(y, self.settings.gate);
        if let Some(norm) = &layer.post_feedforward_layernorm {
            y = norm.forward(y);
        }
        B::packed_add(x, y)
    }

    fn adapter(&self) -> Option<&AdapterConfig> {
        self.adapter.as_ref()
    }

    fn set_adapter(&mut self, adapter: Option<AdapterConfig>) {
        self.adapter = adapter;
    }
}

impl<B: ModelBackend> LlamaLayer<B> {
    fn build<S: ParameterSource<B>>(
        config: &ModelConfig,
        settings: &LlamaConfig,
        source: &mut S,
        index: usize,
    ) -> Result<Self, S::Error> {
        let name = |part: &str| format!("layers.{index}.{part}");
        let hidden = config.hidden_size;
        let (heads, width) = (config.num_attention_heads, config.head_dim);
        let (all, grouped) = (heads * width, config.num_key_value_heads * width);
        let inner = settings.intermediate_size;
        let (bias_in, bias_out) = (settings.bias_in, settings.bias_out);
        let mut linear =
            |part: &str, widths, bias| Linear::build(source, &name(part), widths, bias);
        let q_proj = linear("self_attn.q_proj", [hidden, all], bias_in)?;
        let k_proj = linear("self_attn.k_proj", [hidden, grouped], bias_in)?;
        let v_proj = linear("self_attn.v_proj", [hidden, grouped], bias_in)?;
        let o_proj = linear("self_attn.o_proj", [all, hidden], bias_out)?;
        let bias = settings.bias_feed_forward;
        let mlp = FeedForward {
            gate_proj: linear("mlp.gate_proj", [hidden, inner], bias)?,
            up_proj: linear("mlp.up_proj", [hidden, inner], bias)?,
            down_proj: linear("mlp.down_proj", [inner, hidden], bias)?,
        };
        let mut norm =
            |part: &str, width| RmsNorm::build(source, &name(part), width, settings.norm());
        let mut optional =
            |part: &str, width, there: bool| there.then(|| norm(part, width)).transpose();
        let q_norm = optional("self_attn.q_norm", width, settings.head_norms)?;
        let k_norm = optional("self_attn.k_norm", width, settings.head_norms)?;
        let after = settings.norms_after;
        let pre_feedforward_layernorm = optional("pre_feedforward_layernorm", hidden, after)?;
        let post_feedforward_layernorm = optional("post_feedforward_layernorm", hidden, after)?;
        Ok(Self {
            self_attn: Attention {
                q_proj,
                k_proj,
                v_proj,
                o_proj,
                q_norm,
                k_norm,
                prefix: None,
            },
            mlp,
            input_layernorm: norm("input_layernorm", hidden)?,
            post_attention_layernorm: norm("post_attention_layernorm", hidden)?,
            pre_feedforward_layernorm,
            post_feedforward_layernorm,
        })
    }
}

impl<B: Backend> DecoderLayer for LlamaLayer<B> {
    type Backend = B;

    fn projection(&self, which: Projection) -> Option<&Linear<B>> {
        Some(match which {
            Projection::QProj => &self.self_attn.q_proj,
            Projection::KProj => &self.self_attn.k_proj,
            Projection::VProj => &self.self_attn.v_proj,
            Projection::OProj => &self.self_attn.o_proj,
            Projection::GateProj => &self.mlp.gate_proj,
            Projection::UpProj => &self.mlp.up_proj,
            Projection::DownProj => &self.mlp.down_proj,
            _ => return None,
        })
    }

    fn projection_mut(&mut self, which: Projection) -> Option<&mut Linear<B>> {
        Some(match which {
            Projection::QProj => &mut self.self_attn.q_proj,
            Projection::KProj => &mut self.self_attn.k_proj,
            Projection::VProj => &mut self.self_attn.v_proj,
            Projection::OProj => &mut self.self_attn.o_proj,
            Projection::GateProj => &mut self.mlp.gate_proj,
            Projection::UpProj => &mut self.mlp.up_proj,
            Projection::DownProj => &mut self.mlp.down_proj,
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

impl<B: ModelBackend> Attention<B> {
    fn forward(
        &self,
        x: Tensor<B, 2>,
        (rotation, width): (&Rotation<B>, usize),
        attend: impl FnOnce(Projected<B>) -> Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let query = normed(&self.q_norm, width, self.q_proj.forward(x.clone()));
        let key = normed(&self.k_norm, width, self.k_proj.forward(x.clone()));
        let value = self.v_proj.forward(x);
        let query = B::packed_rotary(query, rotation);
        let key = B::packed_rotary(key, rotation);
        self.o_proj.forward(attend([query, key, value]))
    }
}

/// Heads `[tokens, heads * width]`, each normed by itself.
fn normed<B: ModelBackend>(
    norm: &Option<RmsNorm<B>>,
    width: usize,
    heads: Tensor<B, 2>,
) -> Tensor<B, 2> {
    let Some(norm) = norm else {
        return heads;
    };
    let [tokens, all] = heads.dims();
    let each = heads.reshape([tokens * (all / width), width]);
    norm.forward(each).reshape([tokens, all])
}

impl<B: ModelBackend> FeedForward<B> {
    fn forward(&self, x: Tensor<B, 2>, gate: Gate) -> Tensor<B, 2> {
        let all = [&self.gate_proj, &self.up_proj, &self.down_proj];
        if all.iter().all(|linear| linear.is_plain()) {
            let [g, up, down] = all.map(Linear::weight_and_bias);
            return B::packed_gated_feed_forward(x, g, up, down, gate);
        }
        let inner = plain::gated(
            self.gate_proj.forward(x.clone()),
            self.up_proj.forward(x),
            gate,
        );
        self.down_proj.forward(inner)
    }
}

impl LlamaConfig {
    fn norm(&self) -> RmsNormSettings {
        RmsNormSettings {
            epsilon: self.norm_epsilon,
            offset: f64::from(u8::from(self.norm_from_one)),
        }
    }
}
