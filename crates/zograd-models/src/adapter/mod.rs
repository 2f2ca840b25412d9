//! Adapters: a few tensors beside frozen weights that are trained in their stead.
//!
//! | adapter | what it does | its tensors in the module |
//! |---|---|---|
//! | LoRA (arXiv 2106.09685) | `y = x W^T + b + (alpha / r) (x A^T) B^T` | `PROJECTION.lora.a`, `.lora.b` |
//! | prefix (arXiv 2101.00190) | keys and values that every token attends to, in every layer | `self_attn.prefix.keys`, `.prefix.values` |
//!
//! A prefix is no token: it has no position and moves none, as in MeZO's code. (PEFT's
//! prefix tuning shifts the positions of the real tokens, so its files would mean another model.)

pub(crate) mod attach;
mod config;
mod error;
mod file;
mod initial;
pub(crate) mod keys_and_values;
pub(crate) mod load;
mod lora;
mod lora_stack;
mod peft;
mod prefix;
mod projection;
mod save;
pub(crate) mod stack;

pub use config::{AdapterConfig, LoraConfig, PrefixConfig, PrefixInit};
pub use error::AdapterError;
pub use load::BaseNote;
pub use lora::Lora;
pub(crate) use lora_stack::LoraStack;
pub use prefix::Prefix;
pub use projection::{Projection, UnknownProjection};
pub use save::save_adapter;

/// Patterns of the paths of an adapter's parameters, in which `*` stands for any run of characters.
pub const ADAPTERS: [&str; 2] = ["*.lora.*", "*.prefix.*"];

/// Whether the parameter with this path belongs to an adapter.
pub fn is_adapter(path: &str) -> bool {
    path.contains(".lora.") || path.contains(".prefix.")
}
