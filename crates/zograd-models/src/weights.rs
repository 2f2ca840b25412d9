//! Weights of Hugging Face model folders: `model.safetensors`, `pytorch_model.bin`, and both in
//! shards with an index.

mod checkpoint;
mod decode;
mod error;
mod identity;
mod load;
mod pytorch;
mod safetensors;
mod save;
mod write;

pub use error::{LoadError, SaveError};
pub use identity::content_hash;
pub use load::{LoadOptions, LoadReport};
pub use save::save_pretrained;
