//! Models in GGUF files, the format of llama.cpp: their configuration, tokenizer and tensors as Hugging Face has them,
//! and files of such.

mod architecture;
mod config;
mod error;
mod keys;
mod names;
mod rope;
mod rows;
mod save;
mod tensors;
mod tokenizer;

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::Tokenizer;
use zograd_weights::gguf::GgufFile;
use zograd_weights::{Names, Storage, TensorSource};

use architecture::Architecture;
use keys::Keys;
use names::ROPE_FACTORS;
use tensors::Heads;

pub use error::GgufError;
pub use save::{GgufTokenizer, save_gguf};
pub use tensors::GgufTensors;
pub use zograd_weights::gguf::WrittenType;

/// A model in a GGUF file: one of the families of Llama (and Mistral), Qwen 2, Qwen 3 and Gemma 3.
#[derive(Debug)]
pub struct GgufModel {
    file: GgufFile,
    architecture: Architecture,
    config: Map<String, Value>,
}

/// Whether a model's path is that of a GGUF file, by its name, and not of a folder.
pub fn is_gguf(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "gguf")
        && !path.is_dir()
}

impl GgufModel {
    /// Reads what the file says of its model; tensors and tokenizer are read when they are asked for.
    ///
    /// # Errors
    /// The file cannot be read or is damaged; its model is of another family, or of a kind that is not supported; its
    /// metadata lacks a size.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let mut file = GgufFile::open(path)?;
        let mut factors = None;
        if file.entries().contains_key(ROPE_FACTORS) {
            let data = file.read(ROPE_FACTORS, Storage::F32)?;
            factors = Some(data.iter::<f32>().collect::<Vec<f32>>());
        }
        let mut keys = Keys {
            file: path,
            metadata: file.metadata(),
            family: "general",
        };
        let name = keys.text("architecture")?;
        let name = name.ok_or_else(|| keys.missing("general.architecture"))?;
        let architecture = Architecture::of_name(name).ok_or_else(|| {
            let known = Architecture::ALL.map(Architecture::name).join(", ");
            keys.unsupported(format!(
                "its model is of the architecture {name:?}; those that are read: {known}"
            ))
        })?;
        keys.family = architecture.name();
        let config = config::read(&file, &keys, architecture, factors.as_deref())?;
        Ok(Self {
            file,
            architecture,
            config,
        })
    }

    /// What `config.json` of the model's folder in Hugging Face would say.
    pub fn config_json(&self) -> &Map<String, Value> {
        &self.config
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// There is none, it is of a kind that is not read, or it is not valid.
    pub fn tokenizer(&self) -> Result<Tokenizer, GgufError> {
        let json = self.tokenizer_json()?;
        // the library is known to panic on some files
        let parsed = zograd_files::guarded(|| Tokenizer::from_bytes(json.to_string()));
        let invalid = |reason: String| GgufError::Tokenizer {
            file: self.file.place().to_owned(),
            reason,
        };
        let parsed = parsed.map_err(invalid)?;
        parsed.map_err(|error| invalid(error.to_string()))
    }

    /// What `tokenizer.json` of the model's folder would say.
    ///
    /// # Errors
    /// There is no tokenizer, or it is of a kind that is not read.
    pub fn tokenizer_json(&self) -> Result<Value, GgufError> {
        tokenizer::read(&self.keys(), self.architecture)
    }

    /// The template that makes a text of the turns of a chat, if the file has one.
    ///
    /// # Errors
    /// It is no text.
    pub fn chat_template(&self) -> Result<Option<&str>, GgufError> {
        let keys = self.keys();
        keys.at(keys.metadata.text("tokenizer.chat_template"))
    }

    /// Special tokens by the names that chat templates know them by, such as `eos_token`.
    ///
    /// # Errors
    /// There is no vocabulary, or an id that is not in it.
    pub fn special_tokens(&self) -> Result<Vec<(String, String)>, GgufError> {
        tokenizer::special(&self.keys())
    }

    /// The tensors, by the names that `names` makes of Hugging Face's.
    ///
    /// # Errors
    /// Two tensors get one name.
    pub fn tensors(self, names: &dyn Names) -> Result<GgufTensors, GgufError> {
        // the configuration was made here, and has both
        let heads = |key: &str| {
            let number = self.config.get(key).and_then(Value::as_u64);
            number.and_then(|number| usize::try_from(number).ok())
        };
        let heads = Heads {
            queries: heads("num_attention_heads").unwrap_or(0),
            keys: heads("num_key_value_heads").unwrap_or(0),
        };
        Ok(GgufTensors::of(self.file, self.architecture, heads, names)?)
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            file: self.file.place(),
            metadata: self.file.metadata(),
            family: self.architecture.name(),
        }
    }
}
