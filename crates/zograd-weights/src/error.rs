//! Why tensors could not be read.

use std::path::{Path, PathBuf};

use crate::storage::Storage;

/// Why a file of tensors, or a folder of such files, could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
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
    /// A form of the format that is not read.
    #[error("{file} cannot be read: {reason}")]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Not the file, but what git-lfs leaves in its place.
    #[error(
        "{file} is a git-lfs pointer and not the file itself; git lfs pull, run in its folder, fetches it"
    )]
    Pointer {
        /// The file.
        file: PathBuf,
    },
    /// Two stored tensors are the same parameter.
    #[error("{tensor} is stored twice: in {first} and in {second}")]
    Duplicate {
        /// The name that a model asks for.
        tensor: String,
        /// One file.
        first: PathBuf,
        /// The other file; the same if two names in it mean one parameter.
        second: PathBuf,
    },
    /// A tensor was asked for that is not there.
    #[error("{place} holds no tensor {tensor}")]
    NoTensor {
        /// The folder or file.
        place: PathBuf,
        /// The name that was asked for.
        tensor: String,
    },
    /// A stored tensor that is of no type that is read.
    #[error(
        "{tensor} in {file} is stored as {found}, which is not read; the types that are: F16, BF16, F32, F64, and in GGUF \
         Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K and Q6_K"
    )]
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

impl ReadError {
    /// What the system said of a file.
    pub(crate) fn read(file: &Path) -> impl Fn(std::io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Read {
            file: file.clone(),
            source,
        }
    }

    pub(crate) fn damaged(file: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            reason: reason.into(),
        }
    }
}
