//! Why a configuration is refused.

use std::path::PathBuf;

use crate::gguf::GgufError;

/// What is read, for messages.
const READ: &str = "OPT, Llama, Mistral, Qwen2, Qwen3 and the text models of Gemma 3 (`model_type` opt, llama, mistral, qwen2, \
                    qwen3, gemma3_text)";

/// No size may be larger: a generous bound below which no count of weights overflows.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}; a model folder needs a config.json")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// generation_config.json is there and could not be read.
    #[error("cannot read {path}: {source}")]
    ReadGeneration {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that was read is refused.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<ConfigError>,
    },
    /// A GGUF file that is refused.
    #[error(transparent)]
    Gguf(Box<GgufError>),
    /// Not JSON.
    #[error("the model configuration is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but no object.
    #[error("the model configuration is not valid: it is no JSON object")]
    NoObject,
    /// A required key is missing.
    #[error("the model configuration is not valid: {0} is missing (zograd reads {READ})")]
    Missing(&'static str),
    /// A value of the wrong type.
    #[error("the model configuration is not valid: {key} is {value}, but must be {expected}")]
    Type {
        /// The key.
        key: &'static str,
        /// Its value, as JSON.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The folder holds another architecture.
    #[error("it is {article} {name}{class}; zograd reads {READ}{small}", article = article(name), class = in_brackets(class), small = in_small_letters(name))]
    Architecture {
        /// Its `model_type`; where there is none, its class.
        name: String,
        /// The class of transformers that reads it, if the file names one beside the type.
        class: Option<String>,
    },
    /// An activation this crate has no code for.
    #[error("{key} {value:?} is not supported; use one of {known}")]
    Activation {
        /// The key of config.json.
        key: &'static str,
        /// Its value.
        value: String,
        /// What there is.
        known: &'static str,
    },
    /// A feature that the models here do not have.
    #[error("{key} = {value} is not supported: {reason}")]
    Unsupported {
        /// The key of config.json.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why.
        reason: &'static str,
    },
    /// A size of zero.
    #[error("{0} is 0; it must be at least 1")]
    Zero(&'static str),
    /// A size beyond anything a model has.
    #[error("{key} is {size}; more than {MAX_SIZE} is surely a mistake")]
    TooLarge {
        /// The key of config.json.
        key: &'static str,
        /// Its value.
        size: usize,
    },
    /// The heads of keys and values do not divide those of queries.
    #[error(
        "num_attention_heads {num_attention_heads} is not a multiple of num_key_value_heads {num_key_value_heads}"
    )]
    KeyValueHeads {
        /// `num_attention_heads`.
        num_attention_heads: usize,
        /// `num_key_value_heads`.
        num_key_value_heads: usize,
    },
    /// The heads do not divide the hidden size.
    #[error(
        "hidden_size {hidden_size} is not a multiple of num_attention_heads {num_attention_heads}"
    )]
    Heads {
        /// `hidden_size`.
        hidden_size: usize,
        /// `num_attention_heads`.
        num_attention_heads: usize,
    },
    /// A special token outside the vocabulary.
    #[error("{key} is {id}, outside the vocabulary of {vocab_size}")]
    SpecialToken {
        /// The key of config.json.
        key: &'static str,
        /// Its value.
        id: u32,
        /// `vocab_size`.
        vocab_size: usize,
    },
    /// A name [`ModelConfig::named`](crate::ModelConfig::named) does not know.
    #[error("no published shape is called {name:?}; known: {known}")]
    UnknownName {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
}

/// `a` or `an`.
fn article(name: &str) -> &'static str {
    match name.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) {
        true => "an",
        false => "a",
    }
}

fn in_brackets(class: &Option<String>) -> String {
    let class = class.as_ref();
    class.map(|class| format!(" ({class})")).unwrap_or_default()
}

/// What is wrong with a type that differs from one that is read in its capitals alone.
fn in_small_letters(name: &str) -> &'static str {
    let small = name.to_ascii_lowercase();
    let is_type = READ.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    match name != small && is_type.into_iter().any(|known| known == small) {
        true => "; types are written in small letters",
        false => "",
    }
}
