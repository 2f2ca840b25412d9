//! One safetensors file, read a tensor at a time: the header first, then a seek per tensor, so
//! that a load never holds the file and the model at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::decode::{DecodeError, decode};
use crate::entry::{Entry, Stored};
use crate::error::ReadError;
use crate::float::Float;
use crate::pointer;
use crate::storage::Storage;

/// The largest header the reference implementation accepts.
const MAX_HEADER: u64 = 100_000_000;

#[derive(Debug)]
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the tensor bytes begin.
    data: u64,
}

impl SafetensorsFile {
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let read = ReadError::read(path);
        let damaged = |reason: String| ReadError::damaged(path, reason);
        let mut file = zograd_files::open(path).map_err(&read)?;
        pointer::check(&mut file, path)?;
        let size = file.metadata().map_err(&read)?.len();
        let mut length = [0; 8];
        if size < 8 {
            return Err(damaged(format!("{size} bytes cannot hold a header")));
        }
        file.read_exact(&mut length).map_err(&read)?;
        let header = u64::from_le_bytes(length);
        if header > MAX_HEADER || header > size - 8 {
            return Err(damaged(format!(
                "its header claims {header} bytes, but the file has {size} and at most {MAX_HEADER} \
                 are allowed"
            )));
        }
        let mut json = vec![0; header as usize];
        file.read_exact(&mut json).map_err(read)?;
        // checks that the tensors lie end to end and that their sizes fit their shapes
        let metadata: Metadata =
            serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        let data = 8 + header;
        let expected = data.saturating_add(metadata.data_len() as u64);
        if size != expected {
            return Err(damaged(format!(
                "its header describes {expected} bytes, but the file has {size}"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
            data,
        })
    }

    pub fn entries(&self) -> Vec<Entry> {
        let tensors = self.metadata.tensors();
        tensors
            .into_iter()
            .map(|(name, info)| Entry {
                name,
                shape: info.shape.clone(),
                stored: match info.dtype {
                    Dtype::F16 => Stored::Float(Float::F16),
                    Dtype::BF16 => Stored::Float(Float::BF16),
                    Dtype::F32 => Stored::Float(Float::F32),
                    Dtype::F64 => Stored::Float(Float::F64),
                    other => Stored::Other(other.to_string()),
                },
            })
            .collect()
    }

    /// `safetensors.torch.save_model` stores one of several names of a tensor, and in the metadata for each of the
    /// others which one that is.
    pub fn aliases(&self) -> BTreeMap<String, String> {
        let metadata = self.metadata.metadata().iter().flatten();
        metadata
            .filter(|(alias, name)| {
                self.metadata.info(alias).is_none() && self.metadata.info(name).is_some()
            })
            .map(|(alias, name)| (alias.clone(), name.clone()))
            .collect()
    }

    pub fn read(&mut self, entry: &Entry, target: Storage) -> Result<TensorData, ReadError> {
        let Stored::Float(stored) = entry.stored else {
            return Err(entry.unreadable(&self.path));
        };
        let read = ReadError::read(&self.path);
        let start = self
            .metadata
            .info(&entry.name)
            .map_or(0, |info| info.data_offsets.0);
        let offset = self.data + start as u64;
        self.file.seek(SeekFrom::Start(offset)).map_err(&read)?;
        decode(&mut self.file, stored, &entry.shape, target).map_err(|error| match error {
            DecodeError::Io(source) => read(source),
            DecodeError::NotFinite(value) => entry.not_finite(&self.path, value, target),
        })
    }
}
