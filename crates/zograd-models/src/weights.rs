//! Weights of Hugging Face model folders: `model.safetensors`, `pytorch_model.bin`, and both in
//! shards with an index.

mod blocks;
mod checkpoint;
mod decode;
pub(crate) mod entry;
mod error;
mod identity;
mod load;
mod pytorch;
mod safetensors;
pub(crate) mod save;
pub(crate) mod shard;
mod write;

pub use error::{LoadError, SaveError};
pub use identity::{content_hash, content_hash_of};
pub use load::{LoadOptions, LoadReport};
pub use save::save_pretrained;
