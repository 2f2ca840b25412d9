//! What a model's files say of chats: the template, and the special tokens it may name.

use std::path::{Path, PathBuf};

use serde_json::Value;
use zograd_files::MAX_SMALL_BYTES;

use super::declared::{self, Declared};
use super::{TokenizerError, invalid};
use crate::gguf::{GgufError, GgufModel, is_gguf};

/// What a model says of chats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatFiles {
    /// The template in Jinja and the file it stands in, if the model has one.
    pub template: Option<(PathBuf, String)>,
    /// Special tokens by the names that templates know them by, such as `eos_token`.
    pub tokens: Vec<(String, String)>,
}

/// What a model folder or a GGUF file says of chats. The template stands in `chat_template.jinja`, or in
/// `tokenizer_config.json`, where of several the one named `default` counts.
///
/// # Errors
/// A file that cannot be read or is not valid.
pub fn chat(folder: &Path) -> Result<ChatFiles, TokenizerError> {
    if is_gguf(folder) {
        let gguf = |error: GgufError| TokenizerError::Gguf(error.into());
        let model = GgufModel::open(folder).map_err(gguf)?;
        return Ok(ChatFiles {
            template: chat_template(folder)?,
            tokens: model.special_tokens().map_err(gguf)?,
        });
    }
    let roles = Declared::read(folder)?.roles.into_iter();
    Ok(ChatFiles {
        template: chat_template(folder)?,
        tokens: roles
            .map(|(role, token)| (role.to_owned(), token))
            .collect(),
    })
}

/// The template alone, with the file it stands in.
pub(crate) fn chat_template(place: &Path) -> Result<Option<(PathBuf, String)>, TokenizerError> {
    if is_gguf(place) {
        let gguf = |error: GgufError| TokenizerError::Gguf(error.into());
        let model = GgufModel::open(place).map_err(gguf)?;
        let template = model.chat_template().map_err(gguf)?;
        return Ok(template.map(|template| (place.to_owned(), template.to_owned())));
    }
    let file = place.join("chat_template.jinja");
    if zograd_files::exists(&file) {
        let text = zograd_files::read_text(&file, MAX_SMALL_BYTES);
        let text = text.map_err(|error| invalid(&file, &error))?;
        return Ok(Some((file, text)));
    }
    let file = place.join(declared::CONFIG);
    let config = declared::object(&file)?.unwrap_or_default();
    let template = match config.get("chat_template") {
        None | Some(Value::Null) => None,
        Some(Value::String(template)) => Some(template.clone()),
        Some(Value::Array(named)) => {
            let is_default = |named: &&Value| named["name"] == "default";
            let template = named.iter().find(is_default).or(named.first());
            template.and_then(|named| named["template"].as_str().map(str::to_owned))
        }
        Some(other) => {
            return Err(invalid(
                &file,
                &format!("chat_template is {other}, no text"),
            ));
        }
    };
    Ok(template.map(|template| (file, template)))
}
