//! A GGUF file from a model.

use std::path::Path;

use serde_json::{Map, Value};

use super::error::SaveError;
use super::save::{Parameters, hub_name};
use crate::backend::ModelBackend;
use crate::gguf::{GgufError, GgufModel, GgufTokenizer, WrittenType, is_gguf, save_gguf};
use crate::model::Model;
use crate::tokenizer;

impl<B: ModelBackend> Model<B> {
    /// Writes the model as one GGUF file with the tokenizer and the chat template of `tokenizer`, a folder or another such
    /// file. Matrices are written as `written`, norms and biases as f32.
    ///
    /// # Errors
    /// The model has an adapter, or is of a family without a form in GGUF (OPT); the tokenizer cannot be read, or is none
    /// that llama.cpp knows; the file cannot be written.
    pub fn save_gguf(
        &self,
        tokenizer: Option<&Path>,
        written: WrittenType,
        path: &Path,
    ) -> Result<(), SaveError> {
        if self.adapter().is_some() {
            return Err(SaveError::Adapter);
        }
        let config: Map<String, Value> = serde_json::from_str(&self.config().to_json(self.dtype()))
            .map_err(|error| SaveError::Gguf(GgufError::NoForm(error.to_string()).into()))?;
        let parts = tokenizer.map(TokenizerParts::read).transpose()?;
        let tokenizer = parts.as_ref().map(|parts| GgufTokenizer {
            json: &parts.json,
            chat_template: parts.chat_template.as_deref(),
        });
        let tensors = Parameters::of(self, hub_name)?.tensors;
        save_gguf(&config, tokenizer, tensors, written, path)
            .map_err(|error| SaveError::Gguf(error.into()))
    }
}

/// What of a tokenizer goes into a file.
struct TokenizerParts {
    json: Value,
    chat_template: Option<String>,
}

impl TokenizerParts {
    fn read(place: &Path) -> Result<Self, SaveError> {
        if is_gguf(place) {
            let gguf = |error: GgufError| SaveError::Gguf(error.into());
            let model = GgufModel::open(place).map_err(gguf)?;
            return Ok(Self {
                json: model.tokenizer_json().map_err(gguf)?,
                chat_template: chat_template(place)?,
            });
        }
        let single = place.join("tokenizer.json");
        let text = zograd_files::read_text(&single, tokenizer::MAX_BYTES);
        let text = text.map_err(|source| unreadable(&single, source))?;
        let invalid = |error: serde_json::Error| unreadable(&single, std::io::Error::other(error));
        Ok(Self {
            json: serde_json::from_str(&text).map_err(invalid)?,
            chat_template: chat_template(place)?,
        })
    }
}

/// The template of a model.
fn chat_template(place: &Path) -> Result<Option<String>, SaveError> {
    let found = tokenizer::chat_template(place);
    let found = found.map_err(|error| unreadable(place, std::io::Error::other(error)))?;
    Ok(found.map(|(_, template)| template))
}

fn unreadable(path: &Path, source: std::io::Error) -> SaveError {
    SaveError::Tokenizer {
        path: path.to_owned(),
        source,
    }
}
