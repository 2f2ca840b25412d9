//! Why weights could not be read or written.

use std::path::PathBuf;

use burn::tensor::DType;
use zograd_weights::{ReadError, Storage};

use crate::config::ConfigError;
use crate::gguf::GgufError;

/// Why a model folder could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// config.json or generation_config.json was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The backend has no kernels for the type that was asked for.
    #[error("this backend cannot compute in {0}; load the weights as f32")]
    UnsupportedStorage(Storage),
    /// The weight files cannot be read, or what they hold is not what it should be.
    #[error(transparent)]
    Weights(#[from] ReadError),
    /// A GGUF file that is refused.
    #[error(transparent)]
    Gguf(Box<GgufError>),
    /// The configuration asks for a tensor that no file holds.
    #[error(
        "{folder} holds no tensor {tensor} of shape {expected:?}, which its configuration asks for"
    )]
    Missing {
        /// The model folder.
        folder: PathBuf,
        /// Name without the leading `model.`.
        tensor: String,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A head of its own, although the configuration ties the head to the token table.
    #[error(
        "{file} holds lm_head.weight with other numbers than the token table, but {config} says that the head is \
         the table (tie_word_embeddings). Versions of transformers differ in which of the two they take: to use the \
         stored head, set tie_word_embeddings to false there; to use the table, save the model without \
         lm_head.weight"
    )]
    HeadDiffers {
        /// The file with the head.
        file: PathBuf,
        /// The configuration.
        config: PathBuf,
    },
    /// A stored tensor that the configured model has no place for.
    #[error(
        "{file} holds {tensor} of shape {shape:?}, which the model of its configuration does not have"
    )]
    Unexpected {
        /// The file.
        file: PathBuf,
        /// The stored name.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A stored tensor of another shape than the configuration says.
    #[error("{tensor} in {file} has shape {found:?}, but the configuration makes it {expected:?}")]
    Shape {
        /// The file.
        file: PathBuf,
        /// The stored name.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
}

impl From<GgufError> for LoadError {
    fn from(error: GgufError) -> Self {
        Self::Gguf(error.into())
    }
}

/// Why a model could not be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// No GGUF file could be made.
    #[error(transparent)]
    Gguf(Box<GgufError>),
    /// The output folder or a file in it could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The model has an adapter: its files are not those of a plain model.
    #[error("the model has an adapter; merge it into the weights, or save the adapter alone")]
    Adapter,
    /// There is no adapter to save.
    #[error("the model has no adapter to save")]
    NoAdapter,
    /// Parameters of a type that model files do not hold.
    #[error("{tensor} is {dtype:?}; only F64, F32, F16 and BF16 can be saved")]
    Dtype {
        /// Path of the parameter.
        tensor: String,
        /// Its type.
        dtype: DType,
    },
    /// The folder that tokenizer files should be copied from cannot be read.
    #[error("cannot copy tokenizer files from {path}: {source}")]
    Tokenizer {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
