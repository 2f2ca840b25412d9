//! The weight files of one model folder, as one set of tensors.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use burn::tensor::TensorData;
use serde::Deserialize;
use zograd_files::MAX_SMALL_BYTES;

use crate::entry::Entry;
use crate::error::ReadError;
use crate::source::TensorSource;
use crate::storage::Storage;
use crate::weight_file::WeightFile;

/// The weight files of a folder, by preference.
const FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// `weight_map` of `*.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// What the names in files mean to a model. The usual methods take them as they are.
pub trait Names {
    /// The name that a model asks for, of a stored one. Two stored names with the same one are the same tensor.
    fn canonical<'n>(&self, stored: &'n str) -> &'n str {
        stored
    }

    /// The other name of a tensor that files may hold under either of two. (An index may have both where the shards
    /// hold one.)
    fn twin(&self, name: &str) -> Option<&str> {
        let _ = name;
        None
    }
}

/// Names as they are.
impl Names for () {}

/// All tensors of a folder.
///
/// ```
/// use zograd_weights::{Float, Storage, Stored, TensorSource, WeightFolder};
/// # let folder = tempfile::tempdir()?;
/// # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch_tiny/expected.safetensors");
/// # std::fs::copy(file, folder.path().join("model.safetensors"))?;
/// let mut weights = WeightFolder::open(folder.path(), &())?;
/// let table = &weights.entries()["decoder.embed_tokens.weight"];
/// assert_eq!((&table.shape[..], &table.stored), (&[8, 4][..], &Stored::Float(Float::F32)));
/// let values = weights.read("decoder.embed_tokens.weight", Storage::F16)?;
/// assert_eq!(values.dtype, burn::tensor::DType::F16);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WeightFolder {
    folder: PathBuf,
    shards: Vec<(PathBuf, WeightFile)>,
    entries: BTreeMap<String, Entry>,
    /// Which of the shards holds a tensor.
    homes: BTreeMap<String, usize>,
    /// Other names of tensors.
    aliases: BTreeMap<String, String>,
}

impl WeightFolder {
    /// Opens `model.safetensors` or `pytorch_model.bin`, whole or in shards with an index. Safetensors are preferred
    /// where a folder has both kinds, as in Hugging Face; a warning says so.
    ///
    /// # Errors
    /// There are no weights; a file is missing or damaged; an index leads out of the folder, or promises what its
    /// shards do not hold; a tensor is stored twice.
    pub fn open(folder: &Path, names: &dyn Names) -> Result<Self, ReadError> {
        let mut weights = Self {
            folder: folder.to_owned(),
            shards: Vec::new(),
            entries: BTreeMap::new(),
            homes: BTreeMap::new(),
            aliases: BTreeMap::new(),
        };
        let forms = FILES.iter().flat_map(|name| {
            let index = format!("{name}.index.json");
            [(folder.join(name), false), (folder.join(index), true)]
        });
        let mut forms = forms.filter(|(path, _)| zograd_files::exists(path));
        let Some((path, is_index)) = forms.next() else {
            return Err(ReadError::NoWeights {
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
            true => weights.add_shards(&path, names)?,
            false => weights.add(&path, names)?,
        }
        Ok(weights)
    }

    fn add_shards(&mut self, index_path: &Path, names: &dyn Names) -> Result<(), ReadError> {
        let text =
            zograd_files::read(index_path, MAX_SMALL_BYTES).map_err(ReadError::read(index_path))?;
        let invalid = |reason: String| ReadError::Index {
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
                return Err(ReadError::ShardPath {
                    index: index_path.to_owned(),
                    shard,
                });
            }
            let path = self.folder.join(&shard);
            if !zograd_files::exists(&path) {
                return Err(ReadError::MissingShard {
                    index: index_path.to_owned(),
                    shard,
                });
            }
            self.add(&path, names)?;
            let missing = tensors.into_iter();
            let missing = missing.filter(|it| !self.entries.contains_key(names.canonical(it)));
            lacking.extend(missing.map(|tensor| (shard.clone(), tensor)));
        }
        // an index may have both names of a tensor that the shards hold once
        let lacks = |(_, tensor): &(String, String)| {
            let twin = names.twin(names.canonical(tensor));
            !twin.is_some_and(|twin| self.entries.contains_key(twin))
        };
        match lacking.into_iter().find(lacks) {
            Some((shard, tensor)) => Err(ReadError::NotInShard {
                index: index_path.to_owned(),
                shard,
                tensor,
            }),
            None => Ok(()),
        }
    }

    fn add(&mut self, path: &Path, names: &dyn Names) -> Result<(), ReadError> {
        let shard = WeightFile::open(path)?;
        let number = self.shards.len();
        for entry in shard.entries() {
            let name = names.canonical(&entry.name).to_owned();
            if let Some(first) = self.homes.get(&name) {
                let first = self.shards.get(*first).map_or(path, |(path, _)| path);
                return Err(ReadError::Duplicate {
                    tensor: name,
                    first: first.to_owned(),
                    second: path.to_owned(),
                });
            }
            self.homes.insert(name.clone(), number);
            self.entries.insert(name, entry);
        }
        let canonical = |name: &str| names.canonical(name).to_owned();
        let aliases = shard.aliases().into_iter();
        self.aliases
            .extend(aliases.map(|(alias, name)| (canonical(&alias), canonical(&name))));
        self.shards.push((path.to_owned(), shard));
        Ok(())
    }
}

impl TensorSource for WeightFolder {
    fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    fn alias(&self, name: &str) -> Option<&str> {
        let alias = self.aliases.get(name)?;
        self.entries.contains_key(alias).then_some(alias)
    }

    fn place(&self) -> &Path {
        &self.folder
    }

    fn file_of(&self, name: &str) -> &Path {
        let home = self.homes.get(name);
        let shard = home.and_then(|number| self.shards.get(*number));
        shard.map_or(&self.folder, |(path, _)| path)
    }

    fn files(&self) -> Vec<&Path> {
        let shards = self.shards.iter();
        shards.map(|(path, _)| path.as_path()).collect()
    }

    fn read(&mut self, name: &str, target: Storage) -> Result<TensorData, ReadError> {
        let home = self.homes.get(name);
        let shard = home.and_then(|number| self.shards.get_mut(*number));
        let (Some((_, shard)), Some(entry)) = (shard, self.entries.get(name)) else {
            return Err(ReadError::NoTensor {
                place: self.folder.clone(),
                tensor: name.to_owned(),
            });
        };
        shard.read(entry, target)
    }
}
