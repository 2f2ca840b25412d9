//! A GGUF file from a model.

use std::path::Path;

use burn::tensor::TensorData;
use serde_json::{Map, Value};
use zograd_weights::gguf::{Metadata, WrittenType, write_gguf};
use zograd_weights::{Float, StoredTensor};

use super::config::{self, Written};
use super::error::GgufError;
use super::names::{ROPE_FACTORS, to_gguf};
use super::{rows, tokenizer};

/// The tokenizer that goes into a file.
#[derive(Debug, Clone, Copy)]
pub struct GgufTokenizer<'t> {
    /// What its `tokenizer.json` says.
    pub json: &'t Value,
    /// What makes a text of the turns of a chat.
    pub chat_template: Option<&'t str>,
}

/// Writes a model as one GGUF file, which llama.cpp and Hugging Face's transformers read, and
/// [`GgufModel`](super::GgufModel): `config` is what config.json says, and `tensors` have Hugging Face's names (with
/// `model.`). Matrices are written as `written`, or as f16 where their rows are no whole blocks; norms and biases as f32.
/// The file is there as a whole or not at all.
///
/// # Errors
/// The model is of a family without a form in GGUF, a tensor has no name there, the tokenizer is none that llama.cpp
/// knows, or the file cannot be written.
pub fn save_gguf(
    config: &Map<String, Value>,
    tokenizer: Option<GgufTokenizer>,
    tensors: Vec<(String, StoredTensor)>,
    written: WrittenType,
    path: &Path,
) -> Result<(), GgufError> {
    let about = config::write(config)?;
    let mut metadata = about.metadata.clone();
    describe(&mut metadata, written);
    if let Some(tokenizer) = tokenizer {
        let rows = config.get("vocab_size").and_then(Value::as_u64);
        tokenizer::write(&mut metadata, tokenizer.json, rows.unwrap_or(0) as usize)?;
        if let Some(template) = tokenizer.chat_template {
            metadata.set("tokenizer.chat_template", template);
        }
    }
    let mut named = Vec::new();
    if let Some(factors) = about.factors.clone() {
        let shape = vec![factors.len()];
        let data = TensorData::new(factors, shape.clone());
        let tensor = StoredTensor {
            dtype: Float::F32,
            shape,
            data: Box::new(move || Box::new(std::iter::once(data.clone()))),
        };
        named.push((ROPE_FACTORS.to_owned(), WrittenType::F32, tensor));
    }
    for (name, tensor) in tensors {
        named.push(converted(&about, &name, tensor, written)?);
    }
    zograd_files::replace(path, |partial| write_gguf(&metadata, &named, partial)).map_err(
        |source| GgufError::Write {
            path: path.to_owned(),
            source,
        },
    )
}

/// What llama.cpp says of the types of a file.
fn describe(metadata: &mut Metadata, written: WrittenType) {
    let number = match written {
        WrittenType::F32 => 0,
        WrittenType::F16 => 1,
        WrittenType::Q8_0 => 7,
        // the last one that there is
        _ => 32,
    };
    metadata.set("general.file_type", number);
    metadata.set("general.quantization_version", 2);
}

/// A tensor under its name in GGUF, with its rows and norms as they are there.
fn converted(
    about: &Written,
    name: &str,
    tensor: StoredTensor,
    written: WrittenType,
) -> Result<(String, WrittenType, StoredTensor), GgufError> {
    let architecture = about.architecture;
    let ours = to_gguf(architecture, name).ok_or_else(|| {
        let family = architecture.name();
        GgufError::NoForm(format!("{name} has no name in files of {family}"))
    })?;
    let norm = ours.ends_with("norm.weight");
    let whole_blocks = tensor.shape.last().is_some_and(|row| row % 32 == 0);
    let kind = match written {
        _ if tensor.shape.len() < 2 => WrittenType::F32,
        WrittenType::Q8_0 if !whole_blocks => WrittenType::F16,
        written => written,
    };
    let permuted = ours.contains(".attn_q.") || ours.contains(".attn_k.");
    let tensor = if architecture.norms_from_one() && norm {
        from_zero(tensor)
    } else if architecture.permutes() && permuted {
        in_pairs(tensor, about.head_dim / 2)
    } else {
        tensor
    };
    Ok((ours, kind, tensor))
}

/// A norm of Gemma, which GGUF has as it is, and not as its distance from one.
fn from_zero(tensor: StoredTensor) -> StoredTensor {
    let StoredTensor { shape, data, .. } = tensor;
    StoredTensor {
        dtype: Float::F32,
        shape,
        data: Box::new(move || {
            Box::new(data().map(|piece| {
                let values: Vec<f32> = piece.iter::<f32>().map(|value| value + 1.0).collect();
                TensorData::new(values, piece.shape.clone())
            }))
        }),
    }
}

/// Queries or keys in llama.cpp's order of rows, whole heads at a time.
fn in_pairs(tensor: StoredTensor, pairs: usize) -> StoredTensor {
    let StoredTensor { shape, data, .. } = tensor;
    let row: usize = shape.iter().skip(1).product();
    StoredTensor {
        dtype: Float::F32,
        shape,
        data: Box::new(move || {
            Box::new(InPairs {
                pieces: data(),
                values: Vec::new(),
                pairs,
                row,
            })
        }),
    }
}

struct InPairs {
    pieces: Box<dyn Iterator<Item = TensorData>>,
    /// Rows that are not given on yet.
    values: Vec<f32>,
    pairs: usize,
    row: usize,
}

impl Iterator for InPairs {
    type Item = TensorData;

    fn next(&mut self) -> Option<TensorData> {
        let head = (2 * self.pairs * self.row).max(1);
        while self.values.len() < head {
            match self.pieces.next() {
                Some(piece) => self.values.extend(piece.iter::<f32>()),
                None if self.values.is_empty() => return None,
                None => break,
            }
        }
        // what is left at the end is no whole head, and stays as it is
        let whole = (self.values.len() / head * head).max(head.min(self.values.len()));
        let rest = self.values.split_off(whole);
        let mut values = std::mem::replace(&mut self.values, rest);
        rows::to_gguf(&mut values, self.pairs, self.row);
        let count = values.len();
        Some(TensorData::new(values, [count]))
    }
}
