//! The tensors of a file, as Hugging Face has them.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use half::{bf16, f16};
use zograd_weights::gguf::GgufFile;
use zograd_weights::{Entry, Names, ReadError, Storage, TensorSource};

use super::architecture::Architecture;
use super::names::{ROPE_FACTORS, to_hugging_face};
use super::rows;

/// The tensors of a GGUF file by Hugging Face's names, with its order of rows and its norms: a model is built from
/// them as from those of a folder.
#[derive(Debug)]
pub struct GgufTensors {
    file: GgufFile,
    architecture: Architecture,
    heads: Heads,
    /// By the names that a model asks for; the entries have those in the file.
    entries: BTreeMap<String, Entry>,
}

/// Heads of queries, and of keys and values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub queries: usize,
    pub keys: usize,
}

impl GgufTensors {
    pub(super) fn of(
        file: GgufFile,
        architecture: Architecture,
        heads: Heads,
        names: &dyn Names,
    ) -> Result<Self, ReadError> {
        let mut entries = BTreeMap::new();
        for (stored, entry) in file.entries() {
            if stored == ROPE_FACTORS {
                continue;
            }
            // a tensor of no known name keeps its own, under which no model will ask for it
            let name = to_hugging_face(architecture, stored);
            let name = name.map_or(stored.as_str().into(), |name| {
                names.canonical(&name).to_owned()
            });
            if entries.insert(name.clone(), entry.clone()).is_some() {
                return Err(ReadError::Duplicate {
                    tensor: name,
                    first: file.place().to_owned(),
                    second: file.place().to_owned(),
                });
            }
        }
        Ok(Self {
            file,
            architecture,
            heads,
            entries,
        })
    }

    /// Heads of a tensor whose rows llama.cpp permutes.
    fn permuted(&self, stored: &str) -> Option<usize> {
        let kind = stored.rsplit('.').nth(1)?;
        match kind {
            _ if !self.architecture.permutes() => None,
            "attn_q" => Some(self.heads.queries),
            "attn_k" => Some(self.heads.keys),
            _ => None,
        }
    }
}

impl TensorSource for GgufTensors {
    fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    fn place(&self) -> &Path {
        self.file.place()
    }

    fn file_of(&self, name: &str) -> &Path {
        self.file.file_of(name)
    }

    fn files(&self) -> Vec<&Path> {
        self.file.files()
    }

    fn read(&mut self, name: &str, target: Storage) -> Result<TensorData, ReadError> {
        let Some(entry) = self.entries.get(name).cloned() else {
            return Err(ReadError::NoTensor {
                place: self.place().to_owned(),
                tensor: name.to_owned(),
            });
        };
        if self.architecture.norms_from_one() && entry.name.ends_with("norm.weight") {
            let data = self.file.read(&entry.name, Storage::F32)?;
            return norm_from_one(data, &entry, self.place(), target);
        }
        let mut data = self.file.read(&entry.name, target)?;
        if let Some(heads) = self.permuted(&entry.name) {
            let rows = entry.shape.first().copied().unwrap_or(0);
            if heads == 0 || !rows.is_multiple_of(2 * heads) {
                return Err(ReadError::Damaged {
                    file: self.place().to_owned(),
                    reason: format!(
                        "{:?} of shape {:?} has no {heads} heads of pairs of rows",
                        entry.name, entry.shape
                    ),
                });
            }
            let row: usize = entry.shape[1..].iter().product();
            let bytes = row * data.dtype.size();
            rows::from_gguf(&mut data.bytes[..], rows / heads / 2, bytes);
        }
        Ok(data)
    }
}

/// A norm as Gemma has it in Hugging Face: its distance from one.
fn norm_from_one(
    data: TensorData,
    entry: &Entry,
    file: &Path,
    target: Storage,
) -> Result<TensorData, ReadError> {
    let largest = match target {
        Storage::F16 => f32::from(f16::MAX),
        Storage::Bf16 => f32::from(bf16::MAX),
        _ => f32::MAX,
    };
    let values: Vec<f32> = data.iter::<f32>().map(|value| value - 1.0).collect();
    if let Some(value) = values.iter().find(|value| value.abs() > largest) {
        return Err(ReadError::NotFinite {
            file: file.to_owned(),
            tensor: entry.name.clone(),
            value: *value,
            storage: target,
        });
    }
    let dtype: DType = target.into();
    Ok(TensorData::new(values, data.shape).convert_dtype(dtype))
}
