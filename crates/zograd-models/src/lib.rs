//! Language models in [burn](https://burn.dev): forward passes over packed tokens, and
//! Hugging Face model folders in and out.
//!
//! [`gguf`] has models in the files of llama.cpp.
//!
//! This crate knows models and their files. It knows no optimisation (parameters are perturbed
//! from outside, by name) and no tasks (it scores token ids and does not know what they mean).
//!
//! The forward pass is built for scoring, which is all a zeroth-order step does: a [`Plan`] says
//! which tokens of which sequences are scored, and [`Model::log_probs`] runs each needed token once,
//! without padding, and computes vocabulary logits only where a scored token is predicted.
//! [`Model::generate`] continues prompts, keeping keys and values of earlier tokens.
//!
//! ```
//! use burn_ndarray::NdArray;
//! use zograd_models::{Model, ModelConfig, Plan, Sequence, Sharing};
//!
//! let config = ModelConfig::from_json(r#"{
//!     "vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
//!     "ffn_dim": 16, "max_position_embeddings": 64}"#)?;
//! let model = Model::<NdArray>::init(&config, &Default::default());
//!
//! // two candidate continuations of one prompt; the prompt is run once
//! let great = [2, 10, 11, 12, 7];
//! let terrible = [2, 10, 11, 12, 8];
//! let options = [&great, &terrible].map(|ids| Sequence { ids, scored: 1 });
//! let plan = Plan::new(&[options.to_vec()], Sharing::Prefix)?;
//! let scores = model.log_probs(&plan)?;
//! assert_eq!(scores.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod adapter;
mod attention;
mod backend;
mod config;
mod cost;
mod decoder;
mod error;
mod families;
mod forward;
mod generate;
pub mod gguf;
pub mod hub;
mod indices;
mod interrupt;
mod joined;
mod language_model;
mod last_norm;
mod low_rank;
mod model;
mod nn;
mod packing;
mod parameters;
mod plan;
mod probe;
mod probed;
mod rotary;
mod run;
mod scores;
mod shape;
mod still;
mod tail;
pub mod tokenizer;
mod weights;

pub use adapter::{
    ADAPTERS, AdapterConfig, AdapterError, BaseNote, Lora, LoraConfig, Prefix, PrefixConfig,
    PrefixInit, Projection, UnknownProjection, is_adapter, save_adapter,
};
pub use attention::{AttentionLayout, Heads};
pub use backend::{Gate, ModelBackend, WeightAndBias};
pub use config::{ConfigError, ModelConfig};
pub use decoder::{Decoder, DecoderLayer, LastNorm, Projected, Read};
pub use error::ModelError;
pub use families::{
    Activation, Family, LayerAttention, Llama, LlamaConfig, LlamaLayer, Opt, OptConfig, OptLayer,
    POSITION_OFFSET,
};
pub use generate::{Continuation, Decoding, Finish, Generation, Sampling};
pub use interrupt::{interruptible, is_interrupted};
pub use language_model::LanguageModel;
pub use low_rank::{Left, LowRank};
pub use model::{HEAD, Model};
pub use nn::{Embedding, LayerNorm, Linear, RmsNorm, RmsNormSettings};
pub use packing::{PackedRow, Segment};
pub use plan::{Plan, PlanError, PlanStats, Sequence, Sharing};
pub use probe::Probe;
pub use rotary::{Frequencies, Llama3, Rotation};
pub use shape::Shape;
pub use still::Still;
pub use tail::{GradientSize, Stride, Tail, TailRule};
pub use weights::{LoadError, LoadOptions, LoadReport, SaveError, save_pretrained};
pub use zograd_weights::{ReadError, Storage, UnknownStorage, content_hash, content_hash_of};
