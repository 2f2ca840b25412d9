//! What OPT adds to the sizes of a model, as Hugging Face's `OPTConfig` says it.

use crate::adapter::Projection;
use crate::config::{Common, ConfigError, Keys};
use crate::shape::Sizes;

/// OPT's position table starts with this many rows that no token uses: the padding index of the
/// original fairseq model plus one (`OPTLearnedPositionalEmbedding.offset` in Hugging Face).
pub const POSITION_OFFSET: usize = 2;

/// The nonlinearity between the two feed-forward layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`: every OPT that Meta published.
    Relu,
    /// `x Phi(x)` with the exact error function (`gelu`; Galactica).
    Gelu,
    /// The tanh approximation of GELU (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
}

impl Activation {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "relu" => Some(Self::Relu),
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            _ => None,
        }
    }

    /// The name Hugging Face gives it in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_new",
        }
    }
}

/// What OPT adds to the sizes of a [`ModelConfig`](crate::ModelConfig).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OptConfig {
    /// Width of the token table; differs from `hidden_size` in opt-350m only, which then has
    /// `project_in` and `project_out`.
    pub word_embed_proj_dim: usize,
    /// Width between `fc1` and `fc2`.
    pub ffn_dim: usize,
    /// Nonlinearity of the feed-forward layers.
    pub activation: Activation,
    /// `true`: layer norms before attention and feed-forward (all sizes but 350m).
    pub do_layer_norm_before: bool,
    /// `true`: no layer norm after the last layer although `do_layer_norm_before` is set.
    pub remove_final_layer_norm: bool,
    /// Whether the linear layers have biases.
    pub enable_bias: bool,
}

impl OptConfig {
    /// Of the keys of a config.json. The defaults are those of Hugging Face's `OPTConfig`.
    pub(crate) fn read(keys: &Keys<'_>) -> Result<(Common, Self), ConfigError> {
        let key = "activation_function";
        let name = keys.text(key)?.unwrap_or("relu");
        let activation = Activation::parse(name).ok_or_else(|| ConfigError::Activation {
            key,
            value: name.to_owned(),
            known: "relu, gelu, gelu_new, gelu_pytorch_tanh",
        })?;
        if !keys.switch("layer_norm_elementwise_affine", true)? {
            return Err(ConfigError::Unsupported {
                key: "layer_norm_elementwise_affine",
                value: "false".to_owned(),
                reason: "the layer norms here have a weight and a bias",
            });
        }
        let hidden_size = keys.needed("hidden_size")?;
        let heads = keys.needed("num_attention_heads")?;
        let common = Common {
            heads,
            key_value_heads: heads,
            head_dim: None,
            tied: keys.switch("tie_word_embeddings", true)?,
            init_std: keys.number("init_std")?,
        };
        let settings = Self {
            word_embed_proj_dim: keys.size("word_embed_proj_dim")?.unwrap_or(hidden_size),
            ffn_dim: keys.needed("ffn_dim")?,
            activation,
            do_layer_norm_before: keys.switch("do_layer_norm_before", true)?,
            remove_final_layer_norm: keys.switch("_remove_final_layer_norm", false)?,
            enable_bias: keys.switch("enable_bias", true)?,
        };
        Ok((common, settings))
    }

    /// Whether a layer norm follows the last layer.
    pub fn has_final_layer_norm(&self) -> bool {
        self.do_layer_norm_before && !self.remove_final_layer_norm
    }

    /// Weights besides those of the projections and of the token tables.
    pub(crate) fn other_weights(&self, model: Sizes) -> usize {
        let (d, e, f) = (model.hidden, self.word_embed_proj_dim, self.ffn_dim);
        let positions = (model.positions + POSITION_OFFSET) * d;
        let projections = if d == e { 0 } else { 2 * d * e };
        let biases = if self.enable_bias { 5 * d + f } else { 0 };
        let final_norm = 2 * d * usize::from(self.has_final_layer_norm());
        positions + projections + model.layers * (biases + 4 * d) + final_norm
    }

    /// The projections of a layer, with their widths in and out.
    pub(crate) fn projections(&self, model: Sizes) -> Vec<(Projection, [usize; 2])> {
        let (d, f) = (model.hidden, self.ffn_dim);
        vec![
            (Projection::QProj, [d, d]),
            (Projection::KProj, [d, d]),
            (Projection::VProj, [d, d]),
            (Projection::OutProj, [d, d]),
            (Projection::Fc1, [d, f]),
            (Projection::Fc2, [f, d]),
        ]
    }
}
