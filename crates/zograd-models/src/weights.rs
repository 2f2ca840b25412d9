//! Weights of model folders: a model from the tensors of [`zograd_weights`], and back.

mod error;
mod gguf;
mod load;
pub(crate) mod save;

pub use error::{LoadError, SaveError};
pub use load::{LoadOptions, LoadReport};
pub use save::save_pretrained;
