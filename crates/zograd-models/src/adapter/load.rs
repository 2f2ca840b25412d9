//! A model with the adapter of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zograd_files::MAX_SMALL_BYTES;
use zograd_weights::{Entry, Storage, WeightFile};

use super::attach::{Slot, check, install};
use super::config::{AdapterConfig, PrefixConfig};
use super::error::AdapterError;
use super::{file, peft};
use crate::decoder::{Decoder, device, dtype};

/// Which model an adapter belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseNote {
    /// Its folder or name, for people and for PEFT.
    pub model: String,
    /// [`content_hash`](crate::content_hash) of its weights as they were in memory.
    pub weights: String,
    /// In which type.
    pub dtype: Storage,
}

impl BaseNote {
    /// The note in an adapter folder; `None` if there is none, as in folders from elsewhere.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(folder: &Path) -> Result<Option<Self>, AdapterError> {
        if zograd_files::exists(&folder.join(file::BASE)) {
            json(folder, file::BASE).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl AdapterConfig {
    /// What kind of adapter a folder holds, from its adapter_config.json.
    ///
    /// # Errors
    /// There is none, or it is not supported.
    pub fn from_folder(folder: &Path) -> Result<Self, AdapterError> {
        Ok(Self::read(folder)?.0)
    }

    /// The same, and whether the tensors of the folder say which modules have it.
    fn read(folder: &Path) -> Result<(Self, bool), AdapterError> {
        let config: Map<String, Value> = json(folder, file::CONFIG)?;
        let refused = |reason: String| refused(folder, reason);
        let text = |key: &str| config.get(key).and_then(Value::as_str);
        match (text("peft_type"), text("adapter")) {
            (Some("LORA"), _) => {
                let described = peft::read(&config).map_err(refused)?;
                let is_by_tensors = described.is_by_tensors();
                let tensors = || {
                    let entries = WeightFile::open(&tensors(folder))?.entries();
                    Ok(entries.into_iter().map(|entry| entry.name).collect())
                };
                let lora = described.with(tensors, refused)?;
                Ok((Self::Lora(lora), is_by_tensors))
            }
            (Some(other), _) => Err(refused(format!(
                "the PEFT adapter {other} is not supported; only LORA is"
            ))),
            (None, Some(file::PREFIX)) => {
                let version = config.get("version").and_then(Value::as_u64);
                if version != Some(file::PREFIX_VERSION) {
                    return Err(refused(format!(
                        "its version is not {}, the one that is read; use a newer zograd",
                        file::PREFIX_VERSION
                    )));
                }
                serde_json::from_value::<PrefixConfig>(Value::Object(config.clone()))
                    .map(|prefix| (Self::Prefix(prefix), false))
                    .map_err(|error| refused(error.to_string()))
            }
            (None, _) => Err(refused(
                "it names no kind of adapter (peft_type, or adapter)".to_owned(),
            )),
        }
    }
}

/// See [`Model::with_adapter_from`](crate::Model::with_adapter_from).
pub(crate) fn with_adapter_from<D: Decoder>(model: D, folder: &Path) -> Result<D, AdapterError> {
    let (config, is_by_tensors) = AdapterConfig::read(folder)?;
    check(&model, &config)?;
    let path = tensors(folder);
    let mut tensors = WeightFile::open(&path)?;
    let mut entries: BTreeMap<String, Entry> = tensors
        .entries()
        .into_iter()
        .map(|entry| (entry.name.clone(), entry))
        .collect();
    let (device, dtype) = (device(&model), dtype(&model));
    // f64 holds every f32
    let storage = Storage::try_from(dtype).unwrap_or(Storage::F32);
    let model = install(model, &config, |layer, slot, shape| {
        let name = |slot: Slot| file::name(&slot.path(D::LAYERS, layer)).unwrap_or_default();
        let tensor = name(slot);
        let Some(entry) = entries.remove(&tensor) else {
            // a module that a pattern leaves out has neither of the two
            if let Slot::A(projection) = slot
                && is_by_tensors
                && !entries.contains_key(&name(Slot::B(projection)))
            {
                return Err(refused(folder, peft::unlike_the_first(layer)));
            }
            return Err(AdapterError::Missing {
                file: path.clone(),
                tensor,
            });
        };
        if entry.shape != shape {
            return Err(AdapterError::Shape {
                file: path.clone(),
                tensor,
                found: entry.shape,
                expected: shape.to_vec(),
            });
        }
        let data = tensors.read(&entry, storage)?;
        Ok(Tensor::from_data(data, (&device, dtype)))
    })?;
    match entries.into_keys().next() {
        Some(tensor) => Err(AdapterError::Unexpected { file: path, tensor }),
        None => Ok(model),
    }
}

fn refused(folder: &Path, reason: String) -> AdapterError {
    AdapterError::Config {
        file: folder.join(file::CONFIG),
        reason,
    }
}

/// The weight file of a folder; a warning names the older one if there are both.
fn tensors(folder: &Path) -> PathBuf {
    let (new, old) = (folder.join(file::TENSORS), folder.join(file::TENSORS_BIN));
    match (zograd_files::exists(&new), zograd_files::exists(&old)) {
        (false, true) => old,
        (true, true) => {
            tracing::warn!(
                "the adapter is read from {}; {} beside it is not read",
                new.display(),
                old.display()
            );
            new
        }
        _ => new,
    }
}

fn json<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str) -> Result<T, AdapterError> {
    let file = folder.join(name);
    let text =
        zograd_files::read_text(&file, MAX_SMALL_BYTES).map_err(|source| AdapterError::Read {
            file: file.clone(),
            source,
        })?;
    serde_json::from_str(&text).map_err(|error| AdapterError::Config {
        file,
        reason: error.to_string(),
    })
}
