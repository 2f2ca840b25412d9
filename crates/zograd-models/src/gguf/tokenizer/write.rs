//! The metadata of a tokenizer.json.

use std::collections::BTreeMap;

use serde_json::Value;
use zograd_weights::gguf::{self, Array, Metadata};

use super::split::Split;
use super::{BYTE_LEVEL, SENTENCEPIECE, kind};
use crate::gguf::error::GgufError;

/// Adds what a tokenizer.json says to the metadata. The model has `vocab_size` rows, and a file as many tokens: those
/// that the tokenizer lacks are unused.
pub(in crate::gguf) fn write(
    metadata: &mut Metadata,
    tokenizer: &Value,
    vocab_size: usize,
) -> Result<(), GgufError> {
    let model = &tokenizer["model"];
    if model["type"] != "BPE" {
        let kind = &model["type"];
        return no_form(format!("its tokenizer is {kind}, and no BPE"));
    }
    let bytes = model["byte_fallback"] == true;
    let tokens = Tokens::of(tokenizer, vocab_size, bytes)?;
    let merges = merges(model)?;
    let mut set = |key: &str, value: gguf::Value| {
        metadata.set(&format!("tokenizer.ggml.{key}"), value);
    };
    if bytes {
        set("model", SENTENCEPIECE.into());
        set("pre", "default".into());
        let scores = tokens.scores(&merges);
        set("scores", Array::F32(scores).into());
        set("add_space_prefix", prefixed(tokenizer).into());
    } else {
        let split = Split::of_json(&tokenizer["pre_tokenizer"]);
        let Some(split) = split else {
            return no_form(format!(
                "its tokenizer splits text in no way that has a name ({})",
                Split::NAMES
            ));
        };
        set("model", BYTE_LEVEL.into());
        set("pre", split.name().into());
        let merges = merges.iter().map(|(left, right)| format!("{left} {right}"));
        set("merges", Array::Text(merges.collect()).into());
    }
    let (begins, ends) = around(&tokenizer["post_processor"]);
    set("add_bos_token", begins.into());
    set("add_eos_token", ends.into());
    set("token_type", Array::I32(tokens.kinds).into());
    set("tokens", Array::Text(tokens.texts).into());
    Ok(())
}

/// Tokens by their ids.
struct Tokens {
    texts: Vec<String>,
    kinds: Vec<i32>,
}

impl Tokens {
    fn of(tokenizer: &Value, vocab_size: usize, bytes: bool) -> Result<Self, GgufError> {
        let mut by_id: BTreeMap<u64, (&str, i32)> = BTreeMap::new();
        let vocab = tokenizer["model"]["vocab"].as_object();
        for (token, id) in vocab.into_iter().flatten() {
            let byte = bytes && token.len() == 6 && token.starts_with("<0x");
            let kind = if byte { kind::BYTE } else { kind::NORMAL };
            by_id.insert(id.as_u64().unwrap_or(u64::MAX), (token, kind));
        }
        let unknown = tokenizer["model"]["unk_token"].as_str();
        let added = tokenizer["added_tokens"].as_array();
        for token in added.into_iter().flatten() {
            let text = token["content"].as_str().unwrap_or_default();
            let kind = match token["special"] == true {
                true if bytes && unknown == Some(text) => kind::UNKNOWN,
                true => kind::CONTROL,
                false => kind::USER_DEFINED,
            };
            by_id.insert(token["id"].as_u64().unwrap_or(u64::MAX), (text, kind));
        }
        if let Some((id, (token, _))) = by_id.last_key_value()
            && *id >= vocab_size as u64
        {
            return no_form(format!(
                "its tokenizer has {token:?} with the id {id}, and the model {vocab_size} rows"
            ));
        }
        let (mut texts, mut kinds) = (Vec::new(), Vec::new());
        for id in 0..vocab_size as u64 {
            let unused = || (format!("[PAD{id}]"), kind::UNUSED);
            let (text, kind) = by_id
                .get(&id)
                .map_or_else(unused, |(text, kind)| ((*text).to_owned(), *kind));
            texts.push(text);
            kinds.push(kind);
        }
        Ok(Self { texts, kinds })
    }

    /// Scores that give the merges in their order: the earliest merge that makes a token, counted downwards.
    fn scores(&self, merges: &[(&str, &str)]) -> Vec<f32> {
        let mut ranks: BTreeMap<String, usize> = BTreeMap::new();
        for (rank, (left, right)) in merges.iter().enumerate() {
            ranks.entry(format!("{left}{right}")).or_insert(rank);
        }
        let texts = self.texts.iter();
        texts
            .map(|text| -(ranks.get(text).copied().unwrap_or(merges.len()) as f32))
            .collect()
    }
}

/// Pairs, in either way that files have them.
fn merges(model: &Value) -> Result<Vec<(&str, &str)>, GgufError> {
    let listed = model["merges"].as_array();
    let pairs = listed.into_iter().flatten().map(|merge| match merge {
        Value::String(text) => text.split_once(' '),
        pair => Some((pair[0].as_str()?, pair[1].as_str()?)),
    });
    let pairs: Option<Vec<(&str, &str)>> = pairs.collect();
    pairs.map_or_else(
        || no_form("its tokenizer has a merge that is no pair".to_owned()),
        Ok,
    )
}

/// Whether a text is read as if a space stood before it.
fn prefixed(tokenizer: &Value) -> bool {
    let normalizer = &tokenizer["normalizer"];
    let parts = normalizer["normalizers"].as_array();
    let mut parts = parts.into_iter().flatten().chain([normalizer]);
    let level = &tokenizer["pre_tokenizer"];
    parts.any(|part| part["type"] == "Prepend")
        || level["type"] == "Metaspace" && level["prepend_scheme"] != "never"
}

/// Whether a token stands before, and one after, every text.
fn around(processor: &Value) -> (bool, bool) {
    let parts = processor["processors"].as_array();
    let mut parts = parts.into_iter().flatten().chain([processor]);
    let template = parts.find(|part| part["type"] == "TemplateProcessing");
    let single = template.and_then(|part| part["single"].as_array());
    let special = |part: Option<&Value>| part.is_some_and(|it| it.get("SpecialToken").is_some());
    single.map_or((false, false), |single| {
        (special(single.first()), special(single.last()))
    })
}

fn no_form<T>(reason: String) -> Result<T, GgufError> {
    Err(GgufError::NoForm(reason))
}
