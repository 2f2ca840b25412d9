//! Why weights could not be read or written.

use std::path::PathBuf;

use burn::tensor::DType;

use crate::config::ConfigError;
use crate::storage::Storage;

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
    /// No weight file.
    #[error(
        "{folder} holds no weights; looked for model.safetensors, pytorch_model.bin, and their \
         sharded forms with .index.json"
    )]
    NoWeights {
        /// The model folder.
        folder: PathBuf,
    },
    /// A file could not be opened or read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A shard index that is not what Hugging Face writes.
    #[error("{file} is not a valid shard index: {reason}")]
    Index {
        /// The index file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The index names a shard that is not there.
    #[error("{index} names the shard {shard}, which is missing; download it again")]
    MissingShard {
        /// The index file.
        index: PathBuf,
        /// The shard.
        shard: String,
    },
    /// A shard name that is not a plain file name.
    #[error("{index} names the shard {shard:?}; shards must be files beside the index")]
    ShardPath {
        /// The index file.
        index: PathBuf,
        /// The name.
        shard: String,
    },
    /// The index promises a tensor that its shard does not hold.
    #[error("{index} says that {shard} holds {tensor}, but it does not")]
    NotInShard {
        /// The index file.
        index: PathBuf,
        /// The shard.
        shard: String,
        /// The tensor.
        tensor: String,
    },
    /// Truncated, damaged, or not a weight file at all.
    #[error("{file} is damaged: {reason}; download it again")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two stored tensors are the same parameter.
    #[error("{tensor} is stored twice: in {first} and in {second}")]
    Duplicate {
        /// Name without the leading `model.`.
        tensor: String,
        /// One file.
        first: PathBuf,
        /// The other file; the same if the names differ by the prefix only.
        second: PathBuf,
    },
    /// The configuration asks for a tensor that no file holds.
    #[error(
        "{folder} holds no tensor {tensor} of shape {expected:?}, which its config.json asks for"
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
        "{file} holds {tensor} of shape {shape:?}, which the model of config.json does not have"
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
    #[error("{tensor} in {file} has shape {found:?}, but config.json makes it {expected:?}")]
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
    /// A stored tensor that is not of a float type.
    #[error("{tensor} in {file} is stored as {found}; only f16, bf16, f32 and f64 are read")]
    StoredDtype {
        /// The file.
        file: PathBuf,
        /// The stored name.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// A weight that is not a number, is infinite, or becomes so in the asked type.
    #[error(
        "{tensor} in {file} holds {value}, which is not a finite number as {storage}{hint}",
        hint = if value.is_finite() { "; load as bf16 or f32" } else { "; the file is damaged" }
    )]
    NotFinite {
        /// The file.
        file: PathBuf,
        /// The stored name.
        tensor: String,
        /// The value as stored.
        value: f32,
        /// The type of the parameters.
        storage: Storage,
    },
}

/// Why a model could not be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
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
