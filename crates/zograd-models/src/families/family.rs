//! Which families there are, and what each says of a model.

use serde_json::Value;

use super::llama::config::LlamaConfig;
use super::opt::config::OptConfig;
use crate::adapter::Projection;
use crate::config::{Common, ConfigError, Keys};
use crate::shape::Sizes;

/// What a family adds to the sizes of a [`ModelConfig`](crate::ModelConfig).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// OPT.
    Opt(OptConfig),
    /// Llama, Mistral, Qwen2, Qwen3, Gemma 3: one module, of which each has its parts.
    Llama(LlamaConfig),
}

/// Which family a config.json means, and what it says of it. Files without `model_type` are OPT's unless the classes they
/// name are another's.
pub(crate) fn family_of(keys: &Keys<'_>) -> Result<(Common, Family), ConfigError> {
    let model_type = keys.text("model_type")?;
    let classes = keys.get("architectures").and_then(Value::as_array);
    let class = classes.and_then(|classes| classes.first()?.as_str());
    let llama = |(common, settings)| (common, Family::Llama(settings));
    let opt = |(common, settings)| (common, Family::Opt(settings));
    match (model_type, class) {
        (Some("opt"), _) | (None, None) => OptConfig::read(keys).map(opt),
        (None, Some(class)) if class.starts_with("OPT") => OptConfig::read(keys).map(opt),
        (Some("llama"), _) => super::llama::config::read(keys).map(llama),
        (Some("mistral"), _) => super::mistral::read(keys).map(llama),
        (Some("qwen2"), _) => super::qwen2::read(keys).map(llama),
        (Some("qwen3"), _) => super::qwen3::read(keys).map(llama),
        (Some("gemma3_text"), _) => super::gemma3::read(keys).map(llama),
        (name, class) => Err(ConfigError::Architecture {
            name: name.or(class).unwrap_or_default().to_owned(),
            class: name.and(class).map(str::to_owned),
        }),
    }
}

/// The `config.json` of a shape that was published under this name.
pub(crate) fn published(name: &str) -> Result<Value, ConfigError> {
    let opt = super::opt::published::published(name);
    let found = opt.or_else(|| super::llama::published::published(name));
    found.ok_or_else(|| {
        let names = super::opt::published::NAMES.into_iter();
        let names = names.chain(super::llama::published::NAMES);
        ConfigError::UnknownName {
            name: name.to_owned(),
            known: names.collect::<Vec<&str>>().join(", "),
        }
    })
}

impl Family {
    /// The `model_type` of its config.json.
    pub fn model_type(&self) -> &'static str {
        match self {
            Self::Opt(_) => "opt",
            Self::Llama(llama) => llama.model_type,
        }
    }

    /// Path of the token table.
    pub(crate) fn table(&self) -> &'static str {
        match self {
            Self::Opt(_) => "decoder.embed_tokens.weight",
            Self::Llama(_) => "embed_tokens.weight",
        }
    }

    /// The sizes it adds, by their keys.
    pub(crate) fn sizes(&self) -> Vec<(&'static str, usize)> {
        match self {
            Self::Opt(opt) => vec![
                ("word_embed_proj_dim", opt.word_embed_proj_dim),
                ("ffn_dim", opt.ffn_dim),
            ],
            Self::Llama(llama) => vec![("intermediate_size", llama.intermediate_size)],
        }
    }

    /// The key of [`ModelConfig::init_std`](crate::ModelConfig::init_std).
    pub(crate) fn init_key(&self) -> &'static str {
        match self {
            Self::Opt(_) => "init_std",
            Self::Llama(_) => "initializer_range",
        }
    }

    /// What has to fit the sizes.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Opt(_) => Ok(()),
            Self::Llama(llama) => llama.check(),
        }
    }

    /// Weights besides those of the projections and of the token tables.
    pub(crate) fn other_weights(&self, model: Sizes) -> usize {
        match self {
            Self::Opt(opt) => opt.other_weights(model),
            Self::Llama(llama) => llama.other_weights(model),
        }
    }

    pub(crate) fn projections(&self, model: Sizes) -> Vec<(Projection, [usize; 2])> {
        match self {
            Self::Opt(opt) => opt.projections(model),
            Self::Llama(llama) => llama.projections(model),
        }
    }
}
