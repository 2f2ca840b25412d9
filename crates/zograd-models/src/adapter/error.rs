//! Why a model could not be given an adapter.

use std::path::PathBuf;

use zograd_weights::ReadError;

use super::projection::UnknownProjection;

/// Why a model could not be given an adapter, or be merged with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// A setting that is out of its range.
    #[error("`{name} = {value}`: {fix}")]
    Setting {
        /// The setting: `lora-r`, `lora-alpha`, `lora-targets` or `prefix-tokens`.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        fix: String,
    },
    /// No projection of the model's layers that can have LoRA factors.
    #[error(transparent)]
    Target(#[from] UnknownProjection),
    /// One adapter at a time.
    #[error("the model has an adapter already")]
    Present,
    /// Nothing to save or merge.
    #[error("the model has no adapter")]
    Absent,
    /// A prefix is no change of any weight.
    #[error("a prefix cannot be merged into the weights; use it as an adapter")]
    NotMergeable,
    /// The folder has no adapter_config.json, or it cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An adapter_config.json that is not what it should be.
    #[error("{file}: {reason}")]
    Config {
        /// The file.
        file: PathBuf,
        /// What is wrong, and the fix if there is one.
        reason: String,
    },
    /// A tensor that the configuration asks for is not there.
    #[error("{file} holds no tensor {tensor}, which its adapter_config.json asks for")]
    Missing {
        /// The weight file.
        file: PathBuf,
        /// The tensor, as it should be called there.
        tensor: String,
    },
    /// A tensor that the configuration does not ask for.
    #[error("{file} holds {tensor}, for which its adapter_config.json and the model have no place")]
    Unexpected {
        /// The weight file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor of another shape.
    #[error(
        "{tensor} in {file} has shape {found:?}, but the model and adapter_config.json make it \
         {expected:?}; was the adapter trained on another model?"
    )]
    Shape {
        /// The weight file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// The weight file is damaged, or holds what is no finite float.
    #[error(transparent)]
    Weights(#[from] ReadError),
}
