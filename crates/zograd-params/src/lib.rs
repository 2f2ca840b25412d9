#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

mod content_hash;
mod error;
mod path;
mod pieces;
mod selection;
mod space;
mod tensor_id;

pub use content_hash::{content_hash, content_hash_of};
pub use error::ParameterError;
pub use path::ParameterPath;
pub use pieces::pieces;
pub use selection::Selection;
pub use space::{ParameterSpace, ParameterSpec};
pub use tensor_id::TensorId;
