//! The weight files of one model folder, as one set of tensors.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use burn::tensor::TensorData;
use serde::Deserialize;
use zograd_files::MAX_SMALL_BYTES;

use super::decode::Stored;
use super::entry::{Entry, StoredType};
use super::error::LoadError;
use super::pytorch::PytorchFile;
use super::safetensors::SafetensorsFile;
use crate::storage::Storage;

enum Shard {
    Safetensors(SafetensorsFile),
    Pytorch(PytorchFile),
}

impl Shard {
    fn open(path: &Path) -> Result<Self, LoadError> {
        if path.extension().is_some_and(|ext| ext == "safetensors") {
            SafetensorsFile::open(path).map(Self::Safetensors)
        } else {
            PytorchFile::open(path).map(Self::Pytorch)
        }
    }

    fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Safetensors(file) => file.entries(),
            Self::Pytorch(file) => file.entries(),
        }
    }
}

/// `weight_map` of `*.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// All tensors of a folder that have not been taken yet, by name without the leading `model.`.
pub(crate) struct Checkpoint {
    folder: PathBuf,
    shards: Vec<(PathBuf, Shard)>,
    tensors: BTreeMap<String, (usize, Entry)>,
}

impl Checkpoint {
    /// Safetensors are preferred where a folder has both kinds, as in Hugging Face.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let single = |name: &str| zograd_files::exists(&folder.join(name));
        let mut checkpoint = Self {
            folder: folder.to_owned(),
            shards: Vec::new(),
            tensors: BTreeMap::new(),
        };
        for name in ["model.safetensors", "pytorch_model.bin"] {
            let index = format!("{name}.index.json");
            if single(name) {
                checkpoint.add(&folder.join(name))?;
                return Ok(checkpoint);
            }
            if single(&index) {
                checkpoint.add_shards(&folder.join(index))?;
                return Ok(checkpoint);
            }
        }
        Err(LoadError::NoWeights {
            folder: folder.to_owned(),
        })
    }

    fn add_shards(&mut self, index_path: &Path) -> Result<(), LoadError> {
        let text =
            zograd_files::read(index_path, MAX_SMALL_BYTES).map_err(|source| LoadError::Read {
                file: index_path.to_owned(),
                source,
            })?;
        let invalid = |reason: String| LoadError::Index {
            file: index_path.to_owned(),
            reason,
        };
        let index: Index =
            serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (tensor, shard) in index.weight_map {
            shards.entry(shard).or_default().push(tensor);
        }
        if shards.is_empty() {
            return Err(invalid("weight_map is empty".to_owned()));
        }
        for (shard, tensors) in shards {
            // an index is data from elsewhere: it must not reach outside its folder
            let mut parts = Path::new(&shard).components();
            let plain = matches!(
                (parts.next(), parts.next()),
                (Some(Component::Normal(_)), None)
            );
            if !plain || shard.contains(['/', '\\']) {
                return Err(LoadError::ShardPath {
                    index: index_path.to_owned(),
                    shard,
                });
            }
            let path = self.folder.join(&shard);
            if !zograd_files::exists(&path) {
                return Err(LoadError::MissingShard {
                    index: index_path.to_owned(),
                    shard,
                });
            }
            self.add(&path)?;
            if let Some(tensor) = tensors
                .into_iter()
                .find(|tensor| !self.tensors.contains_key(canonical(tensor)))
            {
                return Err(LoadError::NotInShard {
                    index: index_path.to_owned(),
                    shard,
                    tensor,
                });
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> Result<(), LoadError> {
        let shard = Shard::open(path)?;
        let number = self.shards.len();
        for entry in shard.entries() {
            let name = canonical(&entry.name).to_owned();
            if let Some((first, _)) = self.tensors.get(&name) {
                let first = self.shards.get(*first).map_or(path, |(path, _)| path);
                return Err(LoadError::Duplicate {
                    tensor: name,
                    first: first.to_owned(),
                    second: path.to_owned(),
                });
            }
            self.tensors.insert(name, (number, entry));
        }
        self.shards.push((path.to_owned(), shard));
        Ok(())
    }

    /// Reads a tensor and takes it off the list.
    pub fn take(
        &mut self,
        name: &str,
        expected: &[usize],
        target: Storage,
    ) -> Result<(Stored, TensorData), LoadError> {
        let Some((shard, entry)) = self.tensors.remove(name) else {
            return Err(LoadError::Missing {
                folder: self.folder.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
            });
        };
        let (path, shard) = &mut self.shards[shard];
        if entry.shape != expected {
            return Err(LoadError::Shape {
                file: path.clone(),
                tensor: entry.name,
                found: entry.shape,
                expected: expected.to_vec(),
            });
        }
        let stored = match &entry.stored {
            StoredType::Float(stored) => *stored,
            StoredType::Other(found) => {
                return Err(LoadError::StoredDtype {
                    file: path.clone(),
                    tensor: entry.name.clone(),
                    found: found.clone(),
                });
            }
        };
        let data = match shard {
            Shard::Safetensors(file) => file.read(&entry, stored, target),
            Shard::Pytorch(file) => file.read(&entry, stored, target),
        }?;
        Ok((stored, data))
    }

    /// The files, and an error if a tensor is left that is not known to be superfluous. Returns
    /// the names of the superfluous ones.
    pub fn finish(self) -> Result<(Vec<PathBuf>, Vec<String>), LoadError> {
        let mut ignored = Vec::new();
        for (name, (shard, entry)) in self.tensors {
            // a head that is the token table; fairseq left a version number in early files
            if name == "lm_head.weight" || name == "decoder.version" {
                ignored.push(entry.name);
                continue;
            }
            return Err(LoadError::Unexpected {
                file: self.shards[shard].0.clone(),
                tensor: entry.name,
                shape: entry.shape,
            });
        }
        Ok((
            self.shards.into_iter().map(|(path, _)| path).collect(),
            ignored,
        ))
    }
}

fn canonical(name: &str) -> &str {
    name.strip_prefix("model.").unwrap_or(name)
}
