//! Finds and reads the golden numbers beside the workspace, computed with the public Python
//! implementations.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;

/// A path below the shared folder; `None` (and a note) where it was not checked out. In CI a
/// missing folder is a failure, not a skip.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "../shared/{path} is not here"
    );
    println!("skipped: ../shared is not here");
    None
}

/// The goldens of one tiny model.
pub struct Goldens {
    tensors: Vec<u8>,
    pub json: Value,
}

impl Goldens {
    pub fn read(folder: &str) -> Option<(PathBuf, Self)> {
        let folder = shared(&format!("reference/{folder}"))?;
        let tensors = fs::read(folder.join("goldens.safetensors")).expect("readable goldens");
        let json = fs::read_to_string(folder.join("goldens.json")).expect("readable goldens");
        let json = serde_json::from_str(&json).expect("valid JSON");
        Some((folder, Self { tensors, json }))
    }

    fn tensor(&self, name: &str) -> (Vec<usize>, Dtype, Vec<u8>) {
        let file = SafeTensors::deserialize(&self.tensors).expect("valid goldens");
        let tensor = file.tensor(name).expect("a golden of this name");
        (
            tensor.shape().to_vec(),
            tensor.dtype(),
            tensor.data().to_vec(),
        )
    }

    /// Integers, row by row.
    pub fn rows(&self, name: &str) -> Vec<Vec<u32>> {
        let (shape, dtype, bytes) = self.tensor(name);
        let narrow = |id: i64| u32::try_from(id).expect("an id");
        let values: Vec<u32> = match dtype {
            Dtype::I32 => {
                let words = bytes.as_chunks().0.iter();
                words
                    .map(|word| narrow(i32::from_le_bytes(*word).into()))
                    .collect()
            }
            Dtype::I64 => {
                let words = bytes.as_chunks().0.iter();
                words
                    .map(|word| narrow(i64::from_le_bytes(*word)))
                    .collect()
            }
            other => panic!("{name} is {other:?}"),
        };
        values.chunks(shape[1]).map(<[u32]>::to_vec).collect()
    }

    /// Values of either precision with their shape.
    pub fn values(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let (shape, dtype, bytes) = self.tensor(name);
        let values = match dtype {
            Dtype::F64 => {
                let words = bytes.as_chunks().0.iter();
                words.map(|word| f64::from_le_bytes(*word)).collect()
            }
            Dtype::F32 => {
                let words = bytes.as_chunks().0.iter();
                words.map(|word| f32::from_le_bytes(*word).into()).collect()
            }
            other => panic!("{name} is {other:?}"),
        };
        (shape, values)
    }

    /// The tensors of another folder.
    pub fn beside(&self, folder: &Path) -> Self {
        let tensors = fs::read(folder.join("goldens.safetensors")).expect("readable goldens");
        Self {
            tensors,
            json: Value::Null,
        }
    }

    /// The real tokens of each row of a padded batch.
    pub fn sequences(&self, batch: &str) -> Vec<Vec<u32>> {
        let ids = self.rows(&format!("{batch}.input_ids"));
        let mask = self.rows(&format!("{batch}.attention_mask"));
        ids.iter()
            .zip(&mask)
            .map(|(ids, mask)| {
                let kept = ids.iter().zip(mask).filter(|(_, mask)| **mask == 1);
                kept.map(|(id, _)| *id).collect()
            })
            .collect()
    }
}

pub fn counts(value: &Value) -> Vec<usize> {
    let list = value.as_array().expect("a list");
    list.iter()
        .map(|n| n.as_u64().expect("a count") as usize)
        .collect()
}

pub fn ids(value: &Value) -> Vec<u32> {
    counts(value).into_iter().map(|id| id as u32).collect()
}

pub fn floats(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list");
    list.iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// Largest difference, relative to the largest expected magnitude.
pub fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
    let difference = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        // a NaN must not get lost in a maximum
        .fold(0.0, |max, x| if x > max || x.is_nan() { x } else { max });
    difference / largest
}
