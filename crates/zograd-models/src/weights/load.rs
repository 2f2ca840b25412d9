//! A model from a Hugging Face folder.

use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use sha2::{Digest, Sha256};

use super::checkpoint::{Checkpoint, HEAD, TABLE};
use super::decode::Stored;
use super::error::LoadError;
use crate::backend::ModelBackend;
use crate::config::ModelConfig;
use crate::model::Model;
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
    /// Stored tensors that were left out on purpose: a copy of the token table as the head, version numbers.
    pub ignored: Vec<String>,
}

impl<B: ModelBackend> Model<B> {
    /// Loads a Hugging Face model folder: `config.json` and weights as safetensors or PyTorch
    /// files, whole or in shards, with or without the leading `model.` of the tensor names, stored
    /// as f16, bf16, f32 or f64. Tensors are read one at a time. The table of a tied model may be stored as the
    /// token table, as the head, or as both, if they are the same.
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
        let config = ModelConfig::from_folder(folder)?;
        let mut files = Files {
            checkpoint: Checkpoint::open(folder)?,
            storage,
            device,
            tied: config.tie_word_embeddings,
            table: None,
            tensors: 0,
            stored: Vec::new(),
        };
        let model = Self::build(&config, &mut files)?;
        let copies = files.check_head()?;
        let (tensors, stored) = (files.tensors, files.stored);
        let (files, mut ignored) = files.checkpoint.finish()?;
        ignored.extend(copies);
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
    /// Whether the head is the token table.
    tied: bool,
    /// Hash of the numbers of the token table, if the file has a head beside it.
    table: Option<Hash>,
    tensors: usize,
    stored: Vec<Stored>,
}

type Hash = [u8; 32];

impl<B: Backend> Files<'_, B> {
    /// A head that is stored beside the table of a tied model must be the same. Returns its name.
    fn check_head(&mut self) -> Result<Option<String>, LoadError> {
        let (Some(table), true) = (self.table.take(), self.checkpoint.is_left(HEAD)) else {
            return Ok(None);
        };
        let shape = self.checkpoint.shape(HEAD);
        let (_, head) = self.checkpoint.take(HEAD, &shape, self.storage)?;
        if hash(&head) == table {
            Ok(Some(HEAD.to_owned()))
        } else {
            Err(self.checkpoint.head_differs())
        }
    }
}

/// Of the numbers and of their shape.
fn hash(data: &TensorData) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(format!("{:?}", data.shape));
    hasher.update(data.as_bytes());
    hasher.finalize().into()
}

impl<B: Backend> ParameterSource<B> for Files<'_, B> {
    type Error = LoadError;

    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        _initial: Initial,
    ) -> Result<Tensor<B, D>, LoadError> {
        let name = self
            .checkpoint
            .stored_name(name, self.tied)
            .unwrap_or_else(|| name.to_owned());
        let (stored, data) = self.checkpoint.take(&name, &shape, self.storage)?;
        if self.tied && name == TABLE && self.checkpoint.is_left(HEAD) {
            self.table = Some(hash(&data));
        }
        if !self.stored.contains(&stored) {
            self.stored.push(stored);
        }
        self.tensors += 1;
        let dtype: DType = self.storage.into();
        Ok(Tensor::from_data(data, (self.device, dtype)))
    }
}
