//! A model from a Hugging Face folder.

use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};

use super::checkpoint::Checkpoint;
use super::decode::Stored;
use super::error::LoadError;
use crate::backend::ModelBackend;
use crate::config::OptConfig;
use crate::opt::Opt;
use crate::parameters::{Initial, ParameterSource};
use crate::storage::Storage;

/// How weights are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Type of the parameters, whatever type the files hold; f32 by default.
    pub storage: Storage,
}

impl LoadOptions {
    /// Parameters of this type.
    pub fn of(storage: Storage) -> Self {
        Self { storage }
    }
}

/// What a load found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// The weight files that were read.
    pub files: Vec<PathBuf>,
    /// Parameters (tensors) of the model; all of them were read.
    pub tensors: usize,
    /// Weights (numbers) in them.
    pub weights: usize,
    /// Float types the files held, for example `["F16"]`, each once.
    pub stored: Vec<String>,
    /// Type of the parameters.
    pub storage: Storage,
    /// Stored tensors that were left out on purpose: an untied copy of the head, version numbers.
    pub ignored: Vec<String>,
}

impl<B: ModelBackend> Opt<B> {
    /// Loads a Hugging Face model folder: `config.json` and weights as safetensors or PyTorch
    /// files, whole or in shards, with or without the leading `model.` of the tensor names, stored
    /// as f16, bf16, f32 or f64. Tensors are read one at a time.
    ///
    /// # Errors
    /// The configuration is refused; a file is missing or damaged; a tensor is missing, left over,
    /// of the wrong shape or type, or holds a number that is not finite in `options.storage`; the
    /// backend has no kernels for that type.
    pub fn load(
        folder: &Path,
        options: &LoadOptions,
        device: &B::Device,
    ) -> Result<(Self, LoadReport), LoadError> {
        let storage = options.storage;
        if !B::supports_dtype(device, storage.into()) {
            return Err(LoadError::UnsupportedStorage(storage));
        }
        let config = OptConfig::from_folder(folder).map_err(|source| LoadError::Config {
            folder: folder.to_owned(),
            source,
        })?;
        let mut files = Files {
            checkpoint: Checkpoint::open(folder)?,
            storage,
            device,
            tensors: 0,
            stored: Vec::new(),
        };
        let model = Self::build(&config, &mut files)?;
        let (tensors, stored) = (files.tensors, files.stored);
        let (files, ignored) = files.checkpoint.finish()?;
        let report = LoadReport {
            files,
            tensors,
            weights: config.num_parameters(),
            stored: stored.iter().map(|stored| format!("{stored:?}")).collect(),
            storage,
            ignored,
        };
        tracing::info!(
            folder = %folder.display(),
            tensors = report.tensors,
            weights = report.weights,
            stored = ?report.stored,
            storage = %report.storage,
            ignored = ?report.ignored,
            "loaded a model"
        );
        Ok((model, report))
    }
}

struct Files<'d, B: Backend> {
    checkpoint: Checkpoint,
    storage: Storage,
    device: &'d B::Device,
    tensors: usize,
    stored: Vec<Stored>,
}

impl<B: Backend> ParameterSource<B> for Files<'_, B> {
    type Error = LoadError;

    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        _initial: Initial,
    ) -> Result<Tensor<B, D>, LoadError> {
        let (stored, data) = self.checkpoint.take(name, &shape, self.storage)?;
        if !self.stored.contains(&stored) {
            self.stored.push(stored);
        }
        self.tensors += 1;
        let dtype: DType = self.storage.into();
        Ok(Tensor::from_data(data, (self.device, dtype)))
    }
}
