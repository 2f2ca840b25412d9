//! The text models of Gemma 3 (arXiv 2503.19786): Llama with scaled embeddings, norms before and after that multiply by
//! 1 + weight, queries and keys normed, a GELU gate, and two kinds of layers, which differ in window and rotation.

use serde_json::Map;

use super::llama::config::{LayerAttention, LlamaConfig, gate, read_kin, window, windows};
use super::rope::{self, frequencies};
use crate::config::{Common, ConfigError, Keys};

/// Of a config.json with `model_type` gemma3_text.
pub(super) fn read(keys: &Keys<'_>) -> Result<(Common, LlamaConfig), ConfigError> {
    // the class's own defaults are no function of the other sizes
    let width = keys.needed("head_dim")?;
    keys.needed("num_key_value_heads")?;
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if let Some(value) = keys.get(key) {
            return Err(ConfigError::Unsupported {
                key,
                value: value.to_string(),
                reason: "logits and scores are not capped here, as in no published Gemma 3",
            });
        }
    }
    if keys.switch("use_bidirectional_attention", false)? {
        return Err(ConfigError::Unsupported {
            key: "use_bidirectional_attention",
            value: "true".to_owned(),
            reason: "tokens see those before them alone here",
        });
    }
    let (mut common, mut settings) = read_kin(keys, "gemma3_text")?;
    common.tied = keys.switch("tie_word_embeddings", true)?;
    settings.gate = gate(keys, "hidden_activation", "gelu_pytorch_tanh")?;
    settings.norm_from_one = true;
    settings.norms_after = true;
    settings.head_norms = true;
    let bias = keys.switch("attention_bias", false)?;
    (settings.bias_in, settings.bias_out) = (bias, bias);
    settings.embedding_scale = (keys.needed("hidden_size")? as f64).sqrt();
    let scalar = keys.number("query_pre_attn_scalar")?.unwrap_or(256.0);
    settings.score_scale = scalar.powf(-0.5);

    let layers = settings.layers.len();
    // of six layers the last sees all
    let pattern = keys.size("sliding_window_pattern")?;
    let pattern = pattern
        .or(keys.size("_sliding_window_pattern")?)
        .unwrap_or(6);
    let local = |layer: usize| pattern == 0 || !(layer + 1).is_multiple_of(pattern);
    keys.needed("sliding_window")?;
    let windows = windows(keys, window(keys)?, layers, local)?;
    settings.rotations = rotations(keys, width)?.into();
    let of = |window: Option<usize>| LayerAttention {
        window,
        rotation: usize::from(window.is_some()),
    };
    settings.layers = windows.into_iter().map(of).collect();
    Ok((common, settings))
}

/// Of the layers that see all, and of those with a window.
fn rotations(
    keys: &Keys<'_>,
    width: usize,
) -> Result<[crate::rotary::Frequencies; 2], ConfigError> {
    const FULL: &str = "full_attention";
    const SLIDING: &str = "sliding_attention";
    if let Some(parameters) = keys.object("rope_parameters")?
        && parameters.contains_key(FULL)
    {
        let of = |kind: &'static str| {
            let of = Keys(parameters).object(kind)?;
            let of = of.ok_or(ConfigError::Missing(kind))?;
            frequencies(of, Keys(of).number("rope_theta")?, width)
        };
        return Ok([of(FULL)?, of(SLIDING)?]);
    }
    let theta = keys.number("rope_theta")?.unwrap_or(1e6);
    let full = match keys.object("rope_scaling")? {
        Some(scaling) => frequencies(scaling, Some(theta), width)?,
        None => match keys.object("rope_parameters")? {
            Some(_) => rope::read(keys, width)?,
            None => frequencies(&Map::new(), Some(theta), width)?,
        },
    };
    let theta = keys.number("rope_local_base_freq")?.unwrap_or(10_000.0);
    Ok([full, frequencies(&Map::new(), Some(theta), width)?])
}
