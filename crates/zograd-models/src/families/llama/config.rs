//! What Llama's config.json says, and what all families of its kind say alike.

use crate::adapter::Projection;
use crate::backend::Gate;
use crate::config::{Common, ConfigError, Keys, MAX_SIZE};
use crate::families::rope;
use crate::rotary::Frequencies;
use crate::shape::Sizes;

/// What a family of this kind adds to the sizes of a [`ModelConfig`](crate::ModelConfig).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LlamaConfig {
    /// Its `model_type` in config.json: `llama`, `mistral`, `qwen2`, `qwen3`, `gemma3_text`.
    pub model_type: &'static str,
    /// Width between `up_proj` and `down_proj`.
    pub intermediate_size: usize,
    /// The nonlinearity of the gate.
    pub gate: Gate,
    /// Added to the mean square in norms.
    pub norm_epsilon: f64,
    /// Whether norms multiply by 1 + weight.
    pub norm_from_one: bool,
    /// Whether queries, keys and values have biases.
    pub bias_in: bool,
    /// Whether the output of the attention has one.
    pub bias_out: bool,
    /// Whether the feed-forward layers have them.
    pub bias_feed_forward: bool,
    /// Whether queries and keys are normed, head by head.
    pub head_norms: bool,
    /// Whether attention and feed-forward are normed after, too.
    pub norms_after: bool,
    /// What rows of the token table are multiplied by.
    pub embedding_scale: f64,
    /// What attention scores are multiplied by.
    pub score_scale: f64,
    /// How queries and keys may be rotated.
    pub rotations: Vec<Frequencies>,
    /// What each layer sees, and which of the rotations it has.
    pub layers: Vec<LayerAttention>,
}

/// The attention of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerAttention {
    /// How many tokens it sees, itself among them; `None`: all before it.
    pub window: Option<usize>,
    /// Index into [`LlamaConfig::rotations`].
    pub rotation: usize,
}

/// Llama 1, 2, 3 and what has its class: TinyLlama, SmolLM2.
pub(in crate::families) fn read(keys: &Keys<'_>) -> Result<(Common, LlamaConfig), ConfigError> {
    let (common, mut settings) = read_kin(keys, "llama")?;
    let bias = keys.switch("attention_bias", false)?;
    (settings.bias_in, settings.bias_out) = (bias, bias);
    settings.bias_feed_forward = keys.switch("mlp_bias", false)?;
    Ok((common, settings))
}

/// What all families of this kind say alike: no biases, no windows, one rotation, norms before alone.
pub(in crate::families) fn read_kin(
    keys: &Keys<'_>,
    model_type: &'static str,
) -> Result<(Common, LlamaConfig), ConfigError> {
    let hidden_size = keys.needed("hidden_size")?;
    let heads = keys.needed("num_attention_heads")?;
    let head_dim = keys.size("head_dim")?;
    let width = head_dim.unwrap_or(hidden_size / heads.max(1));
    let layers = keys.needed("num_hidden_layers")?;
    if layers > MAX_SIZE {
        return Err(ConfigError::TooLarge {
            key: "num_hidden_layers",
            size: layers,
        });
    }
    let common = Common {
        heads,
        key_value_heads: keys.size("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        tied: keys.switch("tie_word_embeddings", false)?,
        init_std: keys.number("initializer_range")?,
    };
    check_width(width)?;
    let settings = LlamaConfig {
        model_type,
        intermediate_size: keys.needed("intermediate_size")?,
        gate: gate(keys, "hidden_act", "silu")?,
        norm_epsilon: epsilon(keys)?,
        norm_from_one: false,
        bias_in: false,
        bias_out: false,
        bias_feed_forward: false,
        head_norms: false,
        norms_after: false,
        embedding_scale: 1.0,
        score_scale: (width as f64).powf(-0.5),
        rotations: vec![rope::read(keys, width)?],
        layers: vec![
            LayerAttention {
                window: None,
                rotation: 0
            };
            layers
        ],
    };
    Ok((common, settings))
}

/// Rotations turn pairs, and are made before sizes are checked.
fn check_width(width: usize) -> Result<(), ConfigError> {
    let key = "head_dim";
    if width > MAX_SIZE {
        return Err(ConfigError::TooLarge { key, size: width });
    }
    if !width.is_multiple_of(2) {
        return Err(ConfigError::Unsupported {
            key,
            value: width.to_string(),
            reason: "it must be even, for rotations turn pairs",
        });
    }
    Ok(())
}

fn epsilon(keys: &Keys<'_>) -> Result<f64, ConfigError> {
    let key = "rms_norm_eps";
    match keys.number(key)?.unwrap_or(1e-6) {
        epsilon if epsilon.is_finite() && epsilon >= 0.0 => Ok(epsilon),
        other => Err(ConfigError::Unsupported {
            key,
            value: other.to_string(),
            reason: "it must be a number of at least 0",
        }),
    }
}

/// The nonlinearity of the gate under this key.
pub(in crate::families) fn gate(
    keys: &Keys<'_>,
    key: &'static str,
    default: &str,
) -> Result<Gate, ConfigError> {
    match keys.text(key)?.unwrap_or(default) {
        "silu" | "swish" => Ok(Gate::Silu),
        "gelu_pytorch_tanh" | "gelu_new" => Ok(Gate::GeluTanh),
        "gelu" => Ok(Gate::Gelu),
        other => Err(ConfigError::Activation {
            key,
            value: other.to_owned(),
            known: "silu, gelu, gelu_new, gelu_pytorch_tanh",
        }),
    }
}

/// The window of each layer, by the kinds of the layers if a file has them (`layer_types`), else by `otherwise`, which says
/// whether a layer has the window.
///
/// # Errors
/// A kind that is not known, or kinds of more or fewer layers than there are.
pub(in crate::families) fn windows(
    keys: &Keys<'_>,
    window: Option<usize>,
    layers: usize,
    otherwise: impl Fn(usize) -> bool,
) -> Result<Vec<Option<usize>>, ConfigError> {
    let key = "layer_types";
    let Some(kinds) = keys.texts(key)? else {
        let of = |layer| window.filter(|_| otherwise(layer));
        return Ok((0..layers).map(of).collect());
    };
    if kinds.len() != layers {
        return Err(ConfigError::Unsupported {
            key,
            value: format!("a list of {}", kinds.len()),
            reason: "it must name one kind for each layer",
        });
    }
    let of = |kind: &str| match kind {
        "full_attention" => Ok(None),
        "sliding_attention" => window
            .map(Some)
            .ok_or(ConfigError::Missing("sliding_window")),
        other => Err(ConfigError::Unsupported {
            key,
            value: format!("{other:?}"),
            reason: "the layers here are full_attention or sliding_attention",
        }),
    };
    kinds.into_iter().map(of).collect()
}

/// The size of the window, if there is one.
pub(in crate::families) fn window(keys: &Keys<'_>) -> Result<Option<usize>, ConfigError> {
    match keys.size("sliding_window")? {
        Some(0) => Err(ConfigError::Zero("sliding_window")),
        other => Ok(other),
    }
}

impl LlamaConfig {
    /// Gives the layers these windows.
    pub(in crate::families) fn with_windows(mut self, windows: Vec<Option<usize>>) -> Self {
        for (layer, window) in self.layers.iter_mut().zip(windows) {
            layer.window = window;
        }
        self
    }

    pub(in crate::families) fn check(&self) -> Result<(), ConfigError> {
        if !(self.score_scale.is_finite() && self.score_scale > 0.0) {
            return Err(ConfigError::Unsupported {
                key: "query_pre_attn_scalar",
                value: self.score_scale.to_string(),
                reason: "it must be a number above 0",
            });
        }
        Ok(())
    }

    pub(in crate::families) fn other_weights(&self, model: Sizes) -> usize {
        let (hidden, width) = (model.hidden, model.head_dim);
        let (all, grouped) = (model.heads * width, model.key_value_heads * width);
        let count = |there: bool, weights: usize| if there { weights } else { 0 };
        let biases = count(self.bias_in, all + 2 * grouped)
            + count(self.bias_out, hidden)
            + count(self.bias_feed_forward, 2 * self.intermediate_size + hidden);
        let norms =
            2 * hidden + count(self.norms_after, 2 * hidden) + count(self.head_norms, 2 * width);
        model.layers * (biases + norms) + hidden
    }

    pub(in crate::families) fn projections(&self, model: Sizes) -> Vec<(Projection, [usize; 2])> {
        let (hidden, width) = (model.hidden, model.head_dim);
        let (all, grouped) = (model.heads * width, model.key_value_heads * width);
        let inner = self.intermediate_size;
        vec![
            (Projection::QProj, [hidden, all]),
            (Projection::KProj, [hidden, grouped]),
            (Projection::VProj, [hidden, grouped]),
            (Projection::OProj, [all, hidden]),
            (Projection::GateProj, [hidden, inner]),
            (Projection::UpProj, [hidden, inner]),
            (Projection::DownProj, [inner, hidden]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use crate::config::ModelConfig;
    use crate::families::{Family, LlamaConfig};

    fn source(model_type: &str) -> Map<String, Value> {
        let Value::Object(source) = json!({
            "model_type": model_type, "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 7, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
            "max_position_embeddings": 64, "sliding_window": 16,
        }) else {
            unreachable!("an object");
        };
        source
    }

    fn read(model_type: &str, changes: Value) -> Result<LlamaConfig, String> {
        let mut source = source(model_type);
        for (key, value) in changes.as_object().expect("an object") {
            source.insert(key.clone(), value.clone());
        }
        let config = ModelConfig::from_value(Value::Object(source));
        match config.map_err(|error| error.to_string())?.family {
            Family::Llama(llama) => Ok(llama),
            Family::Opt(_) => panic!("{model_type} is no OPT"),
        }
    }

    fn windows(model_type: &str, changes: Value) -> Vec<Option<usize>> {
        let read = read(model_type, changes).expect("valid");
        read.layers.iter().map(|layer| layer.window).collect()
    }

    #[test]
    fn windows_are_where_each_family_has_them() {
        let (none, all) = ([None; 7], [Some(16); 7]);
        assert_eq!(windows("llama", json!({})), none);
        assert_eq!(windows("mistral", json!({})), all);
        assert_eq!(windows("mistral", json!({"sliding_window": null})), none);
        // switched off unless the file says otherwise
        assert_eq!(windows("qwen2", json!({})), none);
        let late = json!({"use_sliding_window": true, "max_window_layers": 5});
        let expected = [None, None, None, None, None, Some(16), Some(16)];
        assert_eq!(windows("qwen3", late), expected);
        // of six layers the last sees all
        let mut expected = all;
        expected[5] = None;
        assert_eq!(windows("gemma3_text", json!({})), expected);
        let kinds = json!({"layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention",
            "full_attention", "full_attention", "sliding_attention"]});
        let expected = [None, Some(16), None, None, None, None, Some(16)];
        assert_eq!(windows("gemma3_text", kinds), expected);
    }

    /// Gemma's two bases of rotations, in the keys of either version of transformers.
    #[test]
    fn layers_with_a_window_rotate_otherwise() {
        let old = json!({"rope_theta": 1e6, "rope_local_base_freq": 1e4});
        let new = json!({"rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        }});
        let [old, new] = [old, new].map(|changes| read("gemma3_text", changes).expect("valid"));
        assert_eq!(old, new);
        assert_eq!((old.layers[0].rotation, old.layers[5].rotation), (1, 0));
        assert!(old.rotations[0].per_pair[1] < old.rotations[1].per_pair[1]);
    }

    #[test]
    fn what_is_not_done_is_refused_by_its_name() {
        for (model_type, changes, part) in [
            (
                "llama",
                json!({"num_key_value_heads": 3}),
                "num_key_value_heads 3",
            ),
            (
                "llama",
                json!({"num_key_value_heads": 0}),
                "num_key_value_heads is 0",
            ),
            (
                "llama",
                json!({"num_attention_heads": 0}),
                "num_attention_heads is 0",
            ),
            ("llama", json!({"head_dim": 7}), "head_dim = 7"),
            (
                "llama",
                json!({"head_dim": 1u64 << 40}),
                "head_dim is 1099511627776",
            ),
            (
                "llama",
                json!({"num_hidden_layers": 1u64 << 40}),
                "num_hidden_layers is 1099511627776",
            ),
            (
                "llama",
                json!({"hidden_act": "relu2"}),
                "hidden_act \"relu2\"",
            ),
            ("llama", json!({"rms_norm_eps": -1}), "rms_norm_eps = -1"),
            (
                "llama",
                json!({"initializer_range": -1}),
                "initializer_range = -1",
            ),
            (
                "llama",
                json!({"quantization_config": {"bits": 4}}),
                "quantization_config = {\"bits\":4}",
            ),
            (
                "llama",
                json!({"rope_scaling": {"type": "yarn"}}),
                "rope_type = \"yarn\"",
            ),
            (
                "mistral",
                json!({"sliding_window": 0}),
                "sliding_window is 0",
            ),
            (
                "mistral",
                json!({"layer_types": ["full_attention"]}),
                "layer_types = a list of 1",
            ),
            (
                "qwen3",
                json!({"layer_types": ["a", "b", "c", "d", "e", "f", "g"]}),
                "layer_types = \"a\"",
            ),
            ("qwen3", json!({"head_dim": null}), "head_dim is missing"),
            (
                "gemma3_text",
                json!({"final_logit_softcapping": 30.0}),
                "final_logit_softcapping = 30",
            ),
            (
                "gemma3_text",
                json!({"use_bidirectional_attention": true}),
                "use_bidirectional_attention",
            ),
            (
                "gemma3_text",
                json!({"query_pre_attn_scalar": 0}),
                "query_pre_attn_scalar",
            ),
            ("gemma3", json!({"vision_config": {}}), "it is a gemma3"),
            ("mixtral", json!({}), "it is a mixtral"),
            ("qwen3_moe", json!({}), "it is a qwen3_moe"),
        ] {
            let error = read(model_type, changes).expect_err(part);
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
