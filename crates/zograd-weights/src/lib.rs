//! Files of tensors, in and out, for [burn](https://burn.dev): `model.safetensors`, `pytorch_model.bin`, both in
//! shards with an index, and [GGUF](gguf).
//!
//! This crate knows files and no model: which names there should be, and of which shape, is its caller's. A tensor is
//! read one at a time and converted a piece at a time, so that a load holds no more than one tensor beside the model.
//! The pickle in a PyTorch file is interpreted as data. No count in a file is believed further than the file goes.
//!
//! A [`WeightFolder`] is the weight files of a folder as one set of tensors, a [`WeightFile`] one of them;
//! [`write_safetensors`] writes one. [`gguf::GgufFile`] is both for GGUF, with the metadata, and [`gguf::write_gguf`]
//! writes it. [`content_hash`] says in one line which weights a module has.

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod decode;
mod entry;
mod error;
mod float;
pub mod gguf;
mod pointer;
mod pytorch;
mod safetensors;
mod source;
mod storage;
mod weight_file;
mod weight_folder;
mod write;

pub use entry::{Entry, Stored};
pub use error::ReadError;
pub use float::Float;
pub use pointer::is_lfs_pointer;
pub use source::TensorSource;
pub use storage::{Storage, UnknownStorage};
pub use weight_file::WeightFile;
pub use weight_folder::{Names, WeightFolder};
pub use write::{StoredTensor, write_safetensors};
pub use zograd_params::{content_hash, content_hash_of, pieces};
