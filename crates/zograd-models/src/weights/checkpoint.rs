//! The weight files of one model folder, as one set of tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use burn::tensor::TensorData;
use serde::Deserialize;
use zograd_files::MAX_SMALL_BYTES;

use super::decode::Stored;
use super::entry::Entry;
use super::error::LoadError;
use super::shard::Shard;
use crate::storage::Storage;

/// The token table.
pub(super) const TABLE: &str = "decoder.embed_tokens.weight";
/// The table of the head, which in a tied model is the token table.
pub(super) const HEAD: &str = "lm_head.weight";

/// The weight files of a folder, by preference.
const FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// `weight_map` of `*.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// All tensors of a folder, by name without the leading `model.`.
pub(crate) struct Checkpoint {
    folder: PathBuf,
    shards: Vec<(PathBuf, Shard)>,
    tensors: BTreeMap<String, (usize, Entry)>,
    /// Other names of tensors.
    aliases: BTreeMap<String, String>,
    /// Those of `tensors` that were taken.
    taken: BTreeSet<String>,
}

impl Checkpoint {
    /// Safetensors are preferred where a folder has both kinds, as in Hugging Face; a warning says so.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let mut checkpoint = Self {
            folder: folder.to_owned(),
            shards: Vec::new(),
            tensors: BTreeMap::new(),
            aliases: BTreeMap::new(),
            taken: BTreeSet::new(),
        };
        let forms = FILES.iter().flat_map(|name| {
            let index = format!("{name}.index.json");
            [(folder.join(name), false), (folder.join(index), true)]
        });
        let mut forms = forms.filter(|(path, _)| zograd_files::exists(path));
        let Some((path, is_index)) = forms.next() else {
            return Err(LoadError::NoWeights {
                folder: folder.to_owned(),
            });
        };
        for (other, _) in forms {
            tracing::warn!(
                "the weights are read from {}; {} beside it is not read",
                path.display(),
                other.display()
            );
        }
        match is_index {
            true => checkpoint.add_shards(&path)?,
            false => checkpoint.add(&path)?,
        }
        Ok(checkpoint)
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
        let mut lacking = Vec::new();
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
            let missing = tensors.into_iter();
            let missing = missing.filter(|it| !self.tensors.contains_key(canonical(it)));
            lacking.extend(missing.map(|tensor| (shard.clone(), tensor)));
        }
        // an index may have both names of a table that the shards hold once
        let lacks = |(_, tensor): &(String, String)| !self.is_tied_name(canonical(tensor));
        match lacking.into_iter().find(lacks) {
            Some((shard, tensor)) => Err(LoadError::NotInShard {
                index: index_path.to_owned(),
                shard,
                tensor,
            }),
            None => Ok(()),
        }
    }

    /// Whether this is one name of the table, and the other is there.
    fn is_tied_name(&self, name: &str) -> bool {
        name == HEAD && self.tensors.contains_key(TABLE)
            || name == TABLE && self.tensors.contains_key(HEAD)
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
        let aliases = shard.aliases().into_iter();
        self.aliases.extend(
            aliases
                .map(|(alias, name)| (canonical(&alias).to_owned(), canonical(&name).to_owned())),
        );
        self.shards.push((path.to_owned(), shard));
        Ok(())
    }

    /// The name under which a tensor is stored: its own, another that the file says it has, or for the table of a
    /// model that is `tied` that of the head.
    pub fn stored_name(&self, name: &str, tied: bool) -> Option<String> {
        let own = || self.tensors.contains_key(name).then_some(name);
        let alias = || {
            let alias = self.aliases.get(name)?;
            self.tensors.contains_key(alias).then_some(alias.as_str())
        };
        let head = || (tied && self.is_tied_name(name)).then_some(HEAD);
        own().or_else(alias).or_else(head).map(str::to_owned)
    }

    /// Reads the tensor that is stored under a name.
    pub fn take(
        &mut self,
        name: &str,
        expected: &[usize],
        target: Storage,
    ) -> Result<(Stored, TensorData), LoadError> {
        let Some((shard, entry)) = self.tensors.get(name) else {
            return Err(LoadError::Missing {
                folder: self.folder.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
            });
        };
        let (path, shard) = &mut self.shards[*shard];
        if entry.shape != expected {
            return Err(LoadError::Shape {
                file: path.clone(),
                tensor: entry.name.clone(),
                found: entry.shape.clone(),
                expected: expected.to_vec(),
            });
        }
        let read = shard.read(path, entry, target)?;
        self.taken.insert(name.to_owned());
        Ok(read)
    }

    /// The shape of a tensor as it is stored.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        let tensor = self.tensors.get(name);
        tensor.map_or_else(Vec::new, |(_, entry)| entry.shape.clone())
    }

    /// Whether a tensor is there that was not taken.
    pub fn is_left(&self, name: &str) -> bool {
        self.tensors.contains_key(name) && !self.taken.contains(name)
    }

    /// The error of a head that is not the table, as the configuration says it is.
    pub fn head_differs(&self) -> LoadError {
        let shard = self.tensors.get(HEAD).map(|(shard, _)| *shard);
        let file = shard.and_then(|shard| self.shards.get(shard));
        LoadError::HeadDiffers {
            file: file.map_or_else(|| self.folder.clone(), |(path, _)| path.clone()),
            config: self.folder.join("config.json"),
        }
    }

    /// The files, and an error if a tensor is left that is not known to be superfluous. Returns
    /// the names of the superfluous ones.
    pub fn finish(self) -> Result<(Vec<PathBuf>, Vec<String>), LoadError> {
        let mut ignored = Vec::new();
        for (name, (shard, entry)) in self.tensors {
            if self.taken.contains(&name) {
                continue;
            }
            // fairseq left a version number in early files
            if name == "decoder.version" {
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
