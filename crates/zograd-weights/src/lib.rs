//! Files of tensors, in and out, for [burn](https://burn.dev): `model.safetensors`, `pytorch_model.bin`, and both in
//! shards with an index.
//!
//! This crate knows files and no model: which names there should be, and of which shape, is its caller's. A tensor is
//! read one at a time and converted a piece at a time, so that a load holds no more than one tensor beside the model.
//! The pickle in a PyTorch file is interpreted as data. No count in a file is believed further than the file goes.
//!
//! A [`Checkpoint`] is the weight files of a folder as one set of tensors, a [`WeightFile`] one of them;
//! [`write_safetensors`] writes one. [`content_hash`] says in one line which weights a module has.

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod blocks;
mod checkpoint;
mod entry;
mod error;
mod float;
mod identity;
mod pytorch;
mod safetensors;
mod source;
mod storage;
mod weight_file;
mod write;

pub use blocks::blocks;
pub use checkpoint::{Checkpoint, Names};
pub use entry::{Entry, Stored};
pub use error::ReadError;
pub use float::Float;
pub use identity::{content_hash, content_hash_of};
pub use source::TensorSource;
pub use storage::{Storage, UnknownStorage};
pub use weight_file::WeightFile;
pub use write::{StoredTensor, write_safetensors};
