//! Why a model could not be read from a GGUF file, or written to one.

use std::path::PathBuf;

use zograd_weights::ReadError;
use zograd_weights::gguf::MetadataError;

/// Why a model could not be read from a GGUF file, or written to one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file is damaged, or a tensor in it cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A value of the metadata has the wrong type.
    #[error("{file} cannot be read: {source}")]
    Metadata {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: MetadataError,
    },
    /// The metadata lacks what a model needs.
    #[error("{file} has no {key:?} in its metadata, which its model needs")]
    Missing {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
    },
    /// A model, or a part of one, that is not supported.
    #[error("{file} cannot be used: {reason}")]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// What it is, and what is supported.
        reason: String,
    },
    /// A tokenizer that cannot be built.
    #[error("the tokenizer in {file} is not valid: {reason}")]
    Tokenizer {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A configuration or a tokenizer that has no form in GGUF.
    #[error("this model cannot be written as GGUF: {0}")]
    NoForm(String),
    /// The file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
