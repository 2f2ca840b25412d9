//! A model from a Hugging Face folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use sha2::{Digest, Sha256};
use zograd_weights::{Names, Storage, TensorSource, WeightFolder};

use super::error::LoadError;
use crate::backend::ModelBackend;
use crate::config::ModelConfig;
use crate::gguf::{GgufModel, is_gguf};
use crate::model::Model;
use crate::parameters::{Initial, ParameterSource};

/// The table of the head, which in a tied model is the token table.
const HEAD: &str = "lm_head.weight";
/// A version number that fairseq left in early files of OPT.
const VERSION: &str = "decoder.version";
/// What early versions of transformers saved of the rotations of Llama: a function of the configuration.
const ROTATIONS: &str = ".rotary_emb.inv_freq";

/// Names without the leading `model.`; one table may be stored under two.
struct HubNames {
    /// The token table.
    table: &'static str,
}

impl Names for HubNames {
    fn canonical<'n>(&self, stored: &'n str) -> &'n str {
        stored.strip_prefix("model.").unwrap_or(stored)
    }

    fn twin(&self, name: &str) -> Option<&str> {
        match name {
            HEAD => Some(self.table),
            name if name == self.table => Some(HEAD),
            _ => None,
        }
    }
}

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
    /// Loads a GGUF file, or a Hugging Face model folder: `config.json` and weights as safetensors or PyTorch
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
        let table = config.family.table();
        let names = HubNames { table };
        let source: Box<dyn TensorSource> = match is_gguf(folder) {
            true => Box::new(GgufModel::open(folder)?.tensors(&names)?),
            false => Box::new(WeightFolder::open(folder, &names)?),
        };
        let mut tensors = Tensors::<B>::of(source, storage, device);
        tensors.tied = config.tie_word_embeddings.then_some(table);
        let model = Self::build(&config, &mut tensors)?;
        let report = tensors.finish(config.num_parameters())?;
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

/// The tensors of files on their way into a model.
struct Tensors<'d, B: Backend> {
    source: Box<dyn TensorSource>,
    storage: Storage,
    device: &'d B::Device,
    /// The token table, if it is also the head.
    tied: Option<&'static str>,
    /// Hash of the numbers of the token table, if the file has a head beside it.
    table: Option<Hash>,
    /// Those of the source that were read.
    taken: BTreeSet<String>,
    /// Tensors that the model got.
    count: usize,
    /// How they were stored.
    stored: Vec<String>,
}

type Hash = [u8; 32];

impl<'d, B: Backend> Tensors<'d, B> {
    fn of(source: Box<dyn TensorSource>, storage: Storage, device: &'d B::Device) -> Self {
        Self {
            source,
            storage,
            device,
            tied: None,
            table: None,
            taken: BTreeSet::new(),
            count: 0,
            stored: Vec::new(),
        }
    }

    /// The name under which a tensor is stored: its own, another that the file says it has, or for the table of a
    /// tied model that of the head.
    fn stored_name(&self, name: &str) -> Option<String> {
        let entries = self.source.entries();
        let own = || entries.contains_key(name).then_some(name);
        let head = || (self.tied == Some(name) && entries.contains_key(HEAD)).then_some(HEAD);
        let found = own().or_else(|| self.source.alias(name)).or_else(head);
        found.map(str::to_owned)
    }

    /// Whether a tensor is there that was not taken.
    fn is_left(&self, name: &str) -> bool {
        self.source.entries().contains_key(name) && !self.taken.contains(name)
    }

    /// A head that is stored beside the table of a tied model must be the same. Returns its name.
    fn check_head(&mut self) -> Result<Option<String>, LoadError> {
        let (Some(table), true) = (self.table.take(), self.is_left(HEAD)) else {
            return Ok(None);
        };
        let head = self.source.read(HEAD, self.storage)?;
        self.taken.insert(HEAD.to_owned());
        if hash(&head) == table {
            return Ok(Some(HEAD.to_owned()));
        }
        Err(LoadError::HeadDiffers {
            file: self.source.file_of(HEAD).to_owned(),
            config: self.source.place().join("config.json"),
        })
    }

    /// What was read; an error if a tensor is left that is not known to be superfluous.
    fn finish(mut self, weights: usize) -> Result<LoadReport, LoadError> {
        let copies = self.check_head()?;
        let mut ignored = Vec::new();
        for (name, entry) in self.source.entries() {
            if self.taken.contains(name) {
                continue;
            }
            if name != VERSION && !name.ends_with(ROTATIONS) {
                return Err(LoadError::Unexpected {
                    file: self.source.file_of(name).to_owned(),
                    tensor: entry.name.clone(),
                    shape: entry.shape.clone(),
                });
            }
            ignored.push(entry.name.clone());
        }
        ignored.extend(copies);
        let files = self.source.files().into_iter();
        Ok(LoadReport {
            files: files.map(Path::to_owned).collect(),
            tensors: self.count,
            weights,
            stored: self.stored,
            storage: self.storage,
            ignored,
        })
    }
}

/// Of the numbers and of their shape.
fn hash(data: &TensorData) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(format!("{:?}", data.shape));
    hasher.update(data.as_bytes());
    hasher.finalize().into()
}

impl<B: Backend> ParameterSource<B> for Tensors<'_, B> {
    type Error = LoadError;

    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        _initial: Initial,
    ) -> Result<Tensor<B, D>, LoadError> {
        let stored = self.stored_name(name);
        let found = stored.and_then(|name| {
            let entry = self.source.entries().get(&name)?;
            Some((name, entry.clone()))
        });
        let Some((name, entry)) = found else {
            return Err(LoadError::Missing {
                folder: self.source.place().to_owned(),
                tensor: name.to_owned(),
                expected: shape.to_vec(),
            });
        };
        if entry.shape != shape {
            return Err(LoadError::Shape {
                file: self.source.file_of(&name).to_owned(),
                tensor: entry.name,
                found: entry.shape,
                expected: shape.to_vec(),
            });
        }
        let data = self.source.read(&name, self.storage)?;
        self.taken.insert(name.clone());
        if self.tied == Some(name.as_str()) && self.is_left(HEAD) {
            self.table = Some(hash(&data));
        }
        let stored = entry.stored.to_string();
        if !self.stored.contains(&stored) {
            self.stored.push(stored);
        }
        self.count += 1;
        let dtype: DType = self.storage.into();
        Ok(Tensor::from_data(data, (self.device, dtype)))
    }
}
