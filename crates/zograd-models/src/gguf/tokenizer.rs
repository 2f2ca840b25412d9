//! tokenizer.json of a model from the metadata of its file, and back.

mod byte_level;
mod sentencepiece;
mod split;
mod write;

use serde_json::{Value, json};

use super::architecture::Architecture;
use super::error::GgufError;
use super::keys::Keys;

pub(super) use write::write;

/// The kinds of `tokenizer.ggml.model` that are read.
const BYTE_LEVEL: &str = "gpt2";
const SENTENCEPIECE: &str = "llama";

/// `tokenizer.ggml.token_type` of a token that is no plain one.
mod kind {
    pub const NORMAL: i32 = 1;
    pub const UNKNOWN: i32 = 2;
    /// Not of a text: the beginning, the end, a turn.
    pub const CONTROL: i32 = 3;
    /// Found in a text before anything else.
    pub const USER_DEFINED: i32 = 4;
    pub const UNUSED: i32 = 5;
    pub const BYTE: i32 = 6;
}

/// The vocabulary of a file.
struct Vocabulary<'m> {
    tokens: &'m [String],
    /// As many as tokens, or none.
    kinds: &'m [i32],
}

impl<'m> Vocabulary<'m> {
    fn read(keys: &Keys<'m>) -> Result<Self, GgufError> {
        let key = "tokenizer.ggml.tokens";
        let tokens = keys.at(keys.metadata.texts(key))?;
        let tokens = tokens.ok_or_else(|| keys.missing(key))?;
        let kinds = keys.at(keys.metadata.integers("tokenizer.ggml.token_type"))?;
        let kinds = kinds.unwrap_or_default();
        if !kinds.is_empty() && kinds.len() != tokens.len() {
            return Err(invalid(
                keys,
                format!("{} tokens and the types of {}", tokens.len(), kinds.len()),
            ));
        }
        Ok(Self { tokens, kinds })
    }

    /// The token of an id that a key names.
    fn named(&self, keys: &Keys<'m>, role: &str) -> Result<Option<(u32, &'m str)>, GgufError> {
        let key = format!("tokenizer.ggml.{role}_token_id");
        let Some(id) = keys.at(keys.metadata.whole(&key))? else {
            return Ok(None);
        };
        let token = usize::try_from(id).ok().and_then(|id| self.tokens.get(id));
        let found = u32::try_from(id).ok().zip(token);
        let (id, token) = found.ok_or_else(|| {
            let count = self.tokens.len();
            invalid(keys, format!("{key} is {id}, of {count} tokens"))
        })?;
        Ok(Some((id, token)))
    }

    /// Tokens that are found in a text before it is split.
    fn added(&self) -> Vec<Value> {
        let tokens = self.tokens.iter().zip(self.kinds).enumerate();
        let added = tokens.filter_map(|(id, (token, kind))| {
            let special = match *kind {
                kind::UNKNOWN | kind::CONTROL => true,
                kind::USER_DEFINED => false,
                _ => return None,
            };
            Some(json!({
                "id": id,
                "content": token,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": special,
            }))
        });
        added.filter(|token| token["content"] != "").collect()
    }
}

/// tokenizer.json of a file.
pub(super) fn read(keys: &Keys, architecture: Architecture) -> Result<Value, GgufError> {
    let key = "tokenizer.ggml.model";
    let model = keys.at(keys.metadata.text(key))?;
    match model.ok_or_else(|| keys.missing(key))? {
        BYTE_LEVEL => byte_level::read(keys),
        SENTENCEPIECE => sentencepiece::read(keys, architecture),
        other => Err(keys.unsupported(format!(
            "its tokenizer is of the kind {other:?}; those that are read: {BYTE_LEVEL} (byte-level BPE), \
             {SENTENCEPIECE} (SentencePiece)"
        ))),
    }
}

/// The tokens with a role, by the names that chat templates know them by.
pub(super) fn special(keys: &Keys) -> Result<Vec<(String, String)>, GgufError> {
    let vocabulary = Vocabulary::read(keys)?;
    let mut tokens = Vec::new();
    for (role, name) in [
        ("bos", "bos_token"),
        ("eos", "eos_token"),
        ("unknown", "unk_token"),
        ("padding", "pad_token"),
    ] {
        let token = vocabulary.named(keys, role)?;
        tokens.extend(token.map(|(_, token)| (name.to_owned(), token.to_owned())));
    }
    Ok(tokens)
}

/// A tokenizer.json around its model.
fn whole(added: Vec<Value>, model: Value) -> Value {
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": null,
        "model": model,
    })
}

/// What stands before and after every text; `begins` and `ends` are what a file means that does not say.
fn template(
    keys: &Keys,
    vocabulary: &Vocabulary,
    begins: bool,
    ends: bool,
) -> Result<Value, GgufError> {
    let said = |key: &str| keys.at(keys.metadata.flag(&format!("tokenizer.ggml.{key}")));
    let (begins, ends) = (
        said("add_bos_token")?.unwrap_or(begins),
        said("add_eos_token")?.unwrap_or(ends),
    );
    let (first, last) = (
        vocabulary.named(keys, "bos")?.filter(|_| begins),
        vocabulary.named(keys, "eos")?.filter(|_| ends),
    );
    let text = |name: &str, number: u32| json!({"Sequence": {"id": name, "type_id": number}});
    let token = |token: Option<(u32, &str)>, number: u32| {
        token.map(|(_, token)| json!({"SpecialToken": {"id": token, "type_id": number}}))
    };
    let part = |name: &str, number: u32| {
        let parts = token(first, number).into_iter();
        parts
            .chain([text(name, number)])
            .chain(token(last, number))
            .collect::<Vec<Value>>()
    };
    let mut special = serde_json::Map::new();
    for (id, token) in first.into_iter().chain(last) {
        let value = json!({"id": token, "ids": [id], "tokens": [token]});
        special.insert(token.to_owned(), value);
    }
    let pair = [part("A", 0), part("B", 1)].concat();
    Ok(json!({
        "type": "TemplateProcessing",
        "single": part("A", 0),
        "pair": pair,
        "special_tokens": special,
    }))
}

fn invalid(keys: &Keys, reason: String) -> GgufError {
    GgufError::Tokenizer {
        file: keys.file.to_owned(),
        reason,
    }
}
