//! One weight file, of either format.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::TensorData;

use super::decode::Stored;
use super::entry::{Entry, StoredType};
use super::error::LoadError;
use super::pytorch::PytorchFile;
use super::safetensors::SafetensorsFile;
use crate::storage::Storage;

pub(crate) enum Shard {
    Safetensors(SafetensorsFile),
    Pytorch(PytorchFile),
}

impl Shard {
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        if path.extension().is_some_and(|ext| ext == "safetensors") {
            SafetensorsFile::open(path).map(Self::Safetensors)
        } else {
            PytorchFile::open(path).map(Self::Pytorch)
        }
    }

    pub fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Safetensors(file) => file.entries(),
            Self::Pytorch(file) => file.entries(),
        }
    }

    /// Names of tensors that were left out when the file was written, because they are a stored one: its name.
    pub fn aliases(&self) -> BTreeMap<String, String> {
        match self {
            Self::Safetensors(file) => file.aliases(),
            // names that share a storage are all there
            Self::Pytorch(_) => BTreeMap::new(),
        }
    }

    /// The numbers of one of the entries, and how they were stored.
    pub fn read(
        &mut self,
        path: &Path,
        entry: &Entry,
        target: Storage,
    ) -> Result<(Stored, TensorData), LoadError> {
        let stored = match &entry.stored {
            StoredType::Float(stored) => *stored,
            StoredType::Other(found) => {
                return Err(LoadError::StoredDtype {
                    file: path.to_owned(),
                    tensor: entry.name.clone(),
                    found: found.clone(),
                });
            }
        };
        let data = match self {
            Self::Safetensors(file) => file.read(entry, stored, target),
            Self::Pytorch(file) => file.read(entry, stored, target),
        }?;
        Ok((stored, data))
    }
}
