//! config.json of a model from the metadata of its file, and back.

use serde_json::{Map, Value, json};
use zograd_weights::TensorSource;
use zograd_weights::gguf::{self, GgufFile, Metadata};

use super::architecture::Architecture;
use super::error::GgufError;
use super::keys::Keys;
use super::rope;
use crate::config::whole;

/// Every sixth layer of Gemma 3 sees everything.
const PATTERN: u64 = 6;

/// The base of the rotary frequencies of Gemma 3's layers with a window.
const LOCAL_THETA: f64 = 10_000.0;

/// The layers of Gemma 3 27B, which scales its attention otherwise.
const LAYERS_OF_27B: u64 = 62;

/// config.json, as Hugging Face would have it.
pub(super) fn read(
    file: &GgufFile,
    keys: &Keys,
    architecture: Architecture,
    factors: Option<&[f32]>,
) -> Result<Map<String, Value>, GgufError> {
    if keys.whole("expert_count")?.unwrap_or(0) > 0 {
        return Err(keys.unsupported("it is a mixture of experts".to_owned()));
    }
    let has = |name: &str| file.entries().contains_key(name);
    let (hidden, heads) = (
        keys.needed("embedding_length")?,
        keys.needed("attention.head_count")?,
    );
    let theta = keys.float("rope.freq_base")?.unwrap_or(10_000.0);
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    set("architectures", json!([architecture.class()]));
    set("model_type", architecture.model_type().into());
    set("vocab_size", vocab_size(file, keys)?.into());
    set("hidden_size", hidden.into());
    set(
        "intermediate_size",
        keys.needed("feed_forward_length")?.into(),
    );
    set("num_hidden_layers", keys.needed("block_count")?.into());
    set("num_attention_heads", heads.into());
    let shared = keys.whole("attention.head_count_kv")?;
    set("num_key_value_heads", shared.unwrap_or(heads).into());
    let head_dim = head_dim(keys, architecture, hidden, heads)?;
    set("head_dim", head_dim.into());
    set(
        "max_position_embeddings",
        keys.needed("context_length")?.into(),
    );
    let eps = keys.float("attention.layer_norm_rms_epsilon")?;
    let eps = eps.ok_or_else(|| keys.missing("attention.layer_norm_rms_epsilon"))?;
    set("rms_norm_eps", eps.into());
    set("rope_theta", theta.into());
    if let Some(scaling) = rope::scaling(keys, factors, theta)? {
        set("rope_scaling", scaling);
    }
    set("tie_word_embeddings", (!has("output.weight")).into());
    let window = keys.whole("attention.sliding_window")?;
    if let Some(window) = window.filter(|window| *window > 0) {
        set("sliding_window", window.into());
        // a Mistral, whose architecture is called llama there; other programs know no windows of it
        if architecture == Architecture::Llama {
            set("architectures", json!(["MistralForCausalLM"]));
            set("model_type", "mistral".into());
        }
    }
    match architecture {
        Architecture::Gemma3 => {
            set("hidden_activation", "gelu_pytorch_tanh".into());
            set("sliding_window_pattern", PATTERN.into());
            let local = keys.float("rope.freq_base_swa")?;
            set("rope_local_base_freq", local.unwrap_or(LOCAL_THETA).into());
            let is_27b = keys.needed("block_count")? == LAYERS_OF_27B;
            let scalar = if is_27b {
                hidden / heads.max(1)
            } else {
                head_dim
            };
            set("query_pre_attn_scalar", scalar.into());
        }
        _ => {
            set("hidden_act", "silu".into());
        }
    }
    if architecture != Architecture::Qwen2 {
        set("attention_bias", has("blk.0.attn_q.bias").into());
    }
    if architecture == Architecture::Llama {
        set("mlp_bias", has("blk.0.ffn_gate.bias").into());
    }
    for (key, value) in tokens(keys)? {
        config.insert(key.to_owned(), value);
    }
    Ok(config)
}

/// Rows of the token table: what the file says, or as many as it has.
fn vocab_size(file: &GgufFile, keys: &Keys) -> Result<u64, GgufError> {
    let table = file.entries().get("token_embd.weight");
    if let Some(rows) = table.and_then(|entry| entry.shape.first()) {
        return Ok(*rows as u64);
    }
    let tokens = keys.at(keys.metadata.texts("tokenizer.ggml.tokens"))?;
    let tokens = tokens.ok_or_else(|| keys.missing("tokenizer.ggml.tokens"))?;
    Ok(tokens.len() as u64)
}

fn head_dim(
    keys: &Keys,
    architecture: Architecture,
    hidden: u64,
    heads: u64,
) -> Result<u64, GgufError> {
    let (key, value) = (
        keys.whole("attention.key_length")?,
        keys.whole("attention.value_length")?,
    );
    if let (Some(key), Some(value)) = (key, value)
        && key != value
    {
        return Err(keys.unsupported(format!(
            "its keys have a width of {key} and its values one of {value}"
        )));
    }
    let turned = match architecture {
        Architecture::Llama => keys.whole("rope.dimension_count")?,
        _ => None,
    };
    let usual = hidden.checked_div(heads);
    let width = key.or(value).or(turned).or(usual);
    width.ok_or_else(|| keys.unsupported("it has no attention heads".to_owned()))
}

/// Refuses windows that a file would lose: the format says how far windows reach, and not which layers have them.
fn check_windows(
    config: &Map<String, Value>,
    architecture: Architecture,
    is_mistral: bool,
) -> Result<(), GgufError> {
    let lost = |key: &str| {
        GgufError::NoForm(format!(
            "its {key} gives windows to other layers than those that have them in all files of {}",
            architecture.name()
        ))
    };
    let switch = config.get("use_sliding_window").and_then(Value::as_bool);
    let window = config.get("sliding_window");
    let has_window = window.is_some_and(|window| !window.is_null());
    let expected = |layer: usize| match architecture {
        Architecture::Gemma3 => !(layer as u64 + 1).is_multiple_of(PATTERN),
        // a Mistral's, of all layers
        Architecture::Llama => is_mistral && has_window,
        Architecture::Qwen2 | Architecture::Qwen3 => false,
    };
    if let Some(kinds) = config.get("layer_types").and_then(Value::as_array) {
        let is_local = |kind: &Value| kind.as_str() == Some("sliding_attention");
        let mut kinds = kinds.iter().enumerate();
        return match kinds.all(|(layer, kind)| is_local(kind) == expected(layer)) {
            true => Ok(()),
            false => Err(lost("layer_types")),
        };
    }
    for key in ["sliding_window_pattern", "_sliding_window_pattern"] {
        let pattern = config.get(key).and_then(whole);
        if pattern.is_some_and(|pattern| pattern != PATTERN) {
            return Err(lost(key));
        }
    }
    let is_qwen = matches!(architecture, Architecture::Qwen2 | Architecture::Qwen3);
    match is_qwen && switch == Some(true) && has_window {
        true => Err(lost("use_sliding_window")),
        false => Ok(()),
    }
}

/// Ids of the tokens with a role.
fn tokens(keys: &Keys) -> Result<Vec<(&'static str, Value)>, GgufError> {
    let id = |role: &str| {
        let key = format!("tokenizer.ggml.{role}_token_id");
        keys.at(keys.metadata.whole(&key))
    };
    let mut found = Vec::new();
    for (key, role) in [("bos_token_id", "bos"), ("pad_token_id", "padding")] {
        if let Some(id) = id(role)? {
            found.push((key, id.into()));
        }
    }
    // of a text, and of a turn of a chat
    match (id("eos")?, id("eot")?) {
        (Some(text), Some(turn)) if text != turn => {
            found.push(("eos_token_id", json!([text, turn])));
        }
        (Some(id), _) | (None, Some(id)) => found.push(("eos_token_id", id.into())),
        (None, None) => {}
    }
    Ok(found)
}

/// What a configuration is in GGUF.
pub(super) struct Written {
    pub architecture: Architecture,
    pub metadata: Metadata,
    /// Width of a head.
    pub head_dim: usize,
    /// Factors of the rotary frequencies, a tensor of its own.
    pub factors: Option<Vec<f32>>,
}

/// The metadata of a config.json.
pub(super) fn write(config: &Map<String, Value>) -> Result<Written, GgufError> {
    let no_form = |reason: String| GgufError::NoForm(reason);
    let model_type = config.get("model_type").and_then(Value::as_str);
    let model_type = model_type.unwrap_or_default();
    let architecture = Architecture::of_model_type(model_type).ok_or_else(|| {
        no_form(format!(
            "its model_type is {model_type:?}; those that have a form are llama, mistral, qwen2, qwen3 and gemma3_text"
        ))
    })?;
    let whole = |key: &str| config.get(key).and_then(whole);
    let needed = |key: &str| {
        let value = whole(key).ok_or_else(|| no_form(format!("its config.json has no {key}")))?;
        u32::try_from(value).map_err(|_| no_form(format!("its {key} is {value}")))
    };
    let (hidden, heads) = (needed("hidden_size")?, needed("num_attention_heads")?);
    let usual = hidden.checked_div(heads);
    let head_dim = match whole("head_dim") {
        Some(_) => needed("head_dim")?,
        None => usual.ok_or_else(|| no_form("it has no attention heads".to_owned()))?,
    };
    let shared = match whole("num_key_value_heads") {
        Some(_) => needed("num_key_value_heads")?,
        None => heads,
    };
    let is_mistral = model_type == "mistral";
    check_windows(config, architecture, is_mistral)?;
    let eps = config.get("rms_norm_eps").and_then(Value::as_f64);
    let rope = rope::of_config(config, head_dim as usize)?;

    let mut metadata = Metadata::default();
    let name = architecture.name();
    metadata.set("general.architecture", name);
    let mut set = |key: &str, value: gguf::Value| metadata.set(&format!("{name}.{key}"), value);
    set("block_count", needed("num_hidden_layers")?.into());
    set("context_length", needed("max_position_embeddings")?.into());
    set("embedding_length", hidden.into());
    set("feed_forward_length", needed("intermediate_size")?.into());
    set("vocab_size", needed("vocab_size")?.into());
    set("attention.head_count", heads.into());
    set("attention.head_count_kv", shared.into());
    set("attention.key_length", head_dim.into());
    set("attention.value_length", head_dim.into());
    set("rope.dimension_count", head_dim.into());
    set("rope.freq_base", (rope.theta as f32).into());
    let eps = eps.unwrap_or(1e-6) as f32;
    set("attention.layer_norm_rms_epsilon", eps.into());
    if let Some(window) = whole("sliding_window")
        && (is_mistral || architecture == Architecture::Gemma3)
        && window > 0
    {
        set("attention.sliding_window", needed("sliding_window")?.into());
    }
    for (key, value) in rope.keys {
        match value {
            Value::String(text) => set(key, text.as_str().into()),
            // a length, and no factor
            number if number.is_u64() => {
                let length = number.as_u64().and_then(|it| u32::try_from(it).ok());
                set(key, length.unwrap_or(u32::MAX).into())
            }
            number => set(key, (number.as_f64().unwrap_or(1.0) as f32).into()),
        };
    }
    for (key, id) in roles(config) {
        metadata.set(&format!("tokenizer.ggml.{key}_token_id"), id);
    }
    Ok(Written {
        architecture,
        metadata,
        head_dim: head_dim as usize,
        factors: rope.factors,
    })
}

/// Ids of the tokens with a role.
fn roles(config: &Map<String, Value>) -> Vec<(&'static str, u32)> {
    let id = |value: &Value| whole(value).and_then(|id| u32::try_from(id).ok());
    let named = |key: &str| id(config.get(key)?);
    let mut roles = Vec::new();
    roles.extend(named("bos_token_id").map(|id| ("bos", id)));
    roles.extend(named("pad_token_id").map(|id| ("padding", id)));
    let ends: Vec<u32> = match config.get("eos_token_id") {
        Some(Value::Array(ids)) => ids.iter().filter_map(id).collect(),
        Some(one) => id(one).into_iter().collect(),
        None => Vec::new(),
    };
    // of a text, and of a turn of a chat
    roles.extend(["eos", "eot"].into_iter().zip(ends));
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(model_type: &str, changes: Value) -> Result<Written, String> {
        let Value::Object(mut config) = json!({
            "model_type": model_type, "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
            "max_position_embeddings": 64, "sliding_window": 16,
        }) else {
            unreachable!("an object");
        };
        let changes = changes.as_object().cloned();
        config.extend(changes.into_iter().flatten());
        write(&config).map_err(|error| error.to_string())
    }

    /// A file says how far windows reach, and each architecture which layers have them.
    #[test]
    fn windows_that_a_file_would_lose_are_refused() {
        let kinds =
            |of: [&str; 6]| json!({"layer_types": of.map(|kind| format!("{kind}_attention"))});
        let (local, full) = ("sliding", "full");
        for (model_type, changes) in [
            ("mistral", json!({})),
            ("mistral", kinds([local; 6])),
            ("qwen2", json!({"use_sliding_window": false})),
            ("qwen3", kinds([full; 6])),
            ("gemma3_text", json!({})),
            (
                "gemma3_text",
                kinds([local, local, local, local, local, full]),
            ),
            // no window of Llama's: the key means nothing there
            ("llama", json!({})),
        ] {
            let windowed = matches!(model_type, "mistral" | "gemma3_text");
            let written = written(model_type, changes).expect(model_type);
            let key = format!("{}.attention.sliding_window", written.architecture.name());
            let found = written.metadata.whole(&key);
            assert_eq!(found, Ok(windowed.then_some(16)), "{model_type}");
        }
        for (model_type, changes, key) in [
            (
                "mistral",
                kinds([local, full, local, full, local, full]),
                "layer_types",
            ),
            (
                "qwen2",
                json!({"use_sliding_window": true}),
                "use_sliding_window",
            ),
            (
                "qwen3",
                kinds([local, full, full, full, full, full]),
                "layer_types",
            ),
            ("gemma3_text", kinds([local; 6]), "layer_types"),
            (
                "gemma3_text",
                json!({"sliding_window_pattern": 4}),
                "sliding_window_pattern",
            ),
        ] {
            let error = written(model_type, changes).err().expect(key);
            assert!(error.contains(key), "{error}");
        }
    }
}
