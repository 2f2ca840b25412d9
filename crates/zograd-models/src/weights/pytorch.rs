//! One `pytorch_model.bin`: the zip format and the one before torch 1.6. The pickle inside is
//! interpreted as data; no code is run.

mod strides;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use burn_store::pytorch::PytorchReader;
use burn_store::pytorch::pickle_reader::skip_pickle;

use super::checkpoint::{Entry, StoredType, not_finite};
use super::decode::{DecodeError, Stored, decode};
use super::error::LoadError;
use strides::{Layout, layouts};

pub(super) struct PytorchFile {
    path: PathBuf,
    reader: PytorchReader,
    layouts: HashMap<String, Layout>,
}

impl PytorchFile {
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|source| LoadError::Read {
            file: path.to_owned(),
            source,
        })?;
        let layouts = scan(file).map_err(|reason| damaged(path, &reason))?;
        let reader = PytorchReader::new(path).map_err(|error| damaged(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            layouts,
        })
    }

    pub fn entries(&self) -> Vec<Entry> {
        let tensors = self.reader.tensors().iter();
        tensors
            .map(|(name, snapshot)| Entry {
                name: name.clone(),
                shape: snapshot.shape.to_vec(),
                stored: match snapshot.dtype {
                    DType::F16 => StoredType::Float(Stored::F16),
                    DType::BF16 => StoredType::Float(Stored::BF16),
                    DType::F32 => StoredType::Float(Stored::F32),
                    DType::F64 => StoredType::Float(Stored::F64),
                    other => StoredType::Other(format!("{other:?}")),
                },
            })
            .collect()
    }

    pub fn read(
        &mut self,
        entry: &Entry,
        stored: Stored,
        target: DType,
    ) -> Result<TensorData, LoadError> {
        let damaged = |reason: &dyn std::fmt::Display| damaged(&self.path, reason);
        let name = &entry.name;
        let (Some(snapshot), Some(layout)) = (self.reader.get(name), self.layouts.get(name)) else {
            return Err(damaged(&format!(
                "{name} is not a plain entry of a state dict"
            )));
        };
        let data = snapshot
            .to_data()
            .map_err(|error| damaged(&format!("{name}: {error:?}")))?;
        let mut bytes = data.as_bytes();
        let reordered;
        if !layout.is_row_major() {
            reordered = layout
                .to_row_major(bytes, stored.size())
                .ok_or_else(|| damaged(&format!("{name} is a view that skips stored values")))?;
            bytes = &reordered;
        }
        decode(bytes, stored, &entry.shape, target).map_err(|error| match error {
            DecodeError::Io(error) => damaged(&error),
            DecodeError::NotFinite(value) => not_finite(&self.path, entry, value, target),
        })
    }
}

/// The layouts of the tensors of either format.
fn scan(mut file: File) -> Result<HashMap<String, Layout>, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(text)?;
    file.rewind().map_err(text)?;
    let mut file = BufReader::new(file);
    if magic != *b"PK\x03\x04" {
        // a magic number, a protocol number and a description of the machine, then the tensors
        for _ in 0..3 {
            skip_pickle(&mut file).map_err(|error| error.to_string())?;
        }
        return layouts(file);
    }
    let mut archive = zip::ZipArchive::new(file).map_err(|error| error.to_string())?;
    let name = archive
        .file_names()
        .find(|name| name.ends_with("/data.pkl"))
        .ok_or("the archive has no data.pkl")?
        .to_owned();
    let pickle = archive.by_name(&name).map_err(|error| error.to_string())?;
    layouts(BufReader::new(pickle))
}

fn damaged(path: &Path, reason: &dyn std::fmt::Display) -> LoadError {
    LoadError::Damaged {
        file: path.to_owned(),
        reason: reason.to_string(),
    }
}
