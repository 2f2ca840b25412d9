//! Byte-level BPE: tokens are spelled in an alphabet of bytes, and joined by merges that the file lists.

use serde_json::{Map, Value, json};

use super::split::Split;
use super::{Vocabulary, invalid, template, whole};
use crate::gguf::error::GgufError;
use crate::gguf::keys::Keys;

pub(super) fn read(keys: &Keys) -> Result<Value, GgufError> {
    let vocabulary = Vocabulary::read(keys)?;
    let split = match keys.at(keys.metadata.text("tokenizer.ggml.pre"))? {
        Some(name) if name != "default" => Split::of_name(name).ok_or_else(|| {
            keys.unsupported(format!(
                "its tokenizer splits text as {name:?} does; those that are read: {}",
                Split::NAMES
            ))
        })?,
        _ => {
            tracing::warn!(
                "{} does not say how its tokenizer splits text; it is split as GPT-2 does",
                keys.file.display()
            );
            Split::Gpt2
        }
    };
    let key = "tokenizer.ggml.merges";
    let listed = keys.at(keys.metadata.texts(key))?;
    let mut merges = Vec::new();
    for merge in listed.ok_or_else(|| keys.missing(key))? {
        let (left, right) = merge
            .split_once(' ')
            .ok_or_else(|| invalid(keys, format!("{merge:?} is no pair of tokens")))?;
        merges.push(json!([left, right]));
    }
    let tokens = vocabulary.tokens.iter().enumerate();
    let vocab: Map<String, Value> = tokens
        .map(|(id, token)| (token.clone(), id.into()))
        .collect();
    let model = json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": null,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": split.ignores_merges(),
        "vocab": vocab,
        "merges": merges,
    });
    let mut tokenizer = whole(vocabulary.added(), model);
    if split.composes() {
        tokenizer["normalizer"] = json!({"type": "NFC"});
    }
    tokenizer["pre_tokenizer"] = split.json();
    tokenizer["post_processor"] = template(keys, &vocabulary, split.begins(), false)?;
    tokenizer["decoder"] = json!({
        "type": "ByteLevel",
        "add_prefix_space": true,
        "trim_offsets": true,
        "use_regex": true,
    });
    Ok(tokenizer)
}
