//! The families of models, one file each, and which of them a config.json means.

mod family;
mod gemma3;
pub(crate) mod llama;
mod mistral;
pub(crate) mod opt;
mod qwen2;
mod qwen3;
mod rope;

pub use family::Family;
pub(crate) use family::{family_of, published};
pub use llama::config::{LayerAttention, LlamaConfig};
pub use llama::{Llama, LlamaLayer};
pub use opt::config::{Activation, OptConfig, POSITION_OFFSET};
pub use opt::{Opt, OptLayer};
