//! SentencePiece's BPE: tokens are joined in the order of their scores, spaces are `▁`, and what has no token is bytes.
//! The file has no merges; they follow from the tokens.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Vocabulary, invalid, template, whole};
use crate::gguf::architecture::Architecture;
use crate::gguf::error::GgufError;
use crate::gguf::keys::Keys;

/// What a space is.
const SPACE: &str = "\u{2581}";

/// Tokens that are longer are not joined from others. The longest of real vocabularies have about a hundred bytes, and
/// the time that a token takes grows with the square of its length.
const MAX_TOKEN: usize = 512;

/// Ways to join tokens that are read, for each token; vocabularies have about two.
const MAX_MERGES: usize = 8;

pub(super) fn read(keys: &Keys, architecture: Architecture) -> Result<Value, GgufError> {
    let vocabulary = Vocabulary::read(keys)?;
    let gemma = architecture == Architecture::Gemma3;
    let spelled = |token: &String| match gemma && token.trim().is_empty() {
        // files of Gemma have its runs of spaces as such
        true => token.replace(' ', SPACE),
        false => token.clone(),
    };
    let tokens: Vec<String> = vocabulary.tokens.iter().map(spelled).collect();
    // Gemma's scores do not say the order of its merges, but that of its tokens does
    let order = match gemma {
        true => (0..tokens.len()).map(|id| -(id as f32)).collect(),
        false => scores(keys, tokens.len())?,
    };
    let mut vocab = Map::new();
    for (id, token) in tokens.iter().enumerate() {
        vocab.insert(token.clone(), id.into());
    }
    let merges = merges(keys, &tokens, &order)?;
    let merges = merges.into_iter().map(|(left, right)| json!([left, right]));
    let unknown = vocabulary.named(keys, "unknown")?;
    let unknown = unknown
        .map(|(_, token)| token)
        .or(tokens.first().map(String::as_str));
    let model = json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": unknown,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": true,
        "byte_fallback": true,
        "ignore_merges": false,
        "vocab": vocab,
        "merges": merges.collect::<Vec<Value>>(),
    });
    let prefix = keys.at(keys.metadata.flag("tokenizer.ggml.add_space_prefix"))?;
    let prefix = prefix.unwrap_or(true);
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let mut decoders = vec![
        replace(SPACE, " "),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    let mut normalizer = replace(" ", SPACE);
    if prefix {
        normalizer = json!({
            "type": "Sequence",
            "normalizers": [{"type": "Prepend", "prepend": SPACE}, normalizer],
        });
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let mut tokenizer = whole(vocabulary.added(), model);
    tokenizer["normalizer"] = normalizer;
    tokenizer["post_processor"] = template(keys, &vocabulary, true, false)?;
    tokenizer["decoder"] = json!({"type": "Sequence", "decoders": decoders});
    Ok(tokenizer)
}

fn scores(keys: &Keys, tokens: usize) -> Result<Vec<f32>, GgufError> {
    let key = "tokenizer.ggml.scores";
    let scores = keys.at(keys.metadata.floats(key))?;
    let scores = scores.ok_or_else(|| keys.missing(key))?;
    match scores.len() == tokens {
        true => Ok(scores.to_vec()),
        false => Err(invalid(
            keys,
            format!("{tokens} tokens and the scores of {}", scores.len()),
        )),
    }
}

/// Every pair of tokens that makes a token, the ones with the highest score first; among equals the longest left half.
fn merges<'t>(
    keys: &Keys,
    tokens: &'t [String],
    scores: &[f32],
) -> Result<Vec<(&'t str, &'t str)>, GgufError> {
    let texts = tokens.iter().map(String::as_str);
    let ids: HashMap<&str, usize> = texts.clone().zip(0..).collect();
    let most = tokens.len().saturating_mul(MAX_MERGES);
    let mut found = Vec::new();
    for (id, token) in texts.enumerate() {
        if token.len() > MAX_TOKEN || ids.get(token) != Some(&id) {
            continue;
        }
        let mut halves = Vec::new();
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(first), Some(second)) = (ids.get(left), ids.get(right)) {
                halves.push((*first, *second, left, right));
            }
        }
        halves.sort_unstable_by_key(|(first, second, ..)| (*first, *second));
        let halves = halves.into_iter();
        found.extend(halves.map(|(_, _, left, right)| (id, left, right)));
        if found.len() > most {
            return Err(invalid(
                keys,
                format!("its tokens are joined from others in over {MAX_MERGES} ways each"),
            ));
        }
    }
    let length = |text: &str| text.chars().count();
    let by_length = |(_, left, right): &(usize, &str, &str)| Reverse((length(left), length(right)));
    found.sort_by_cached_key(by_length);
    found.sort_by(|(a, ..), (b, ..)| scores[*b].total_cmp(&scores[*a]));
    let found = found.into_iter();
    Ok(found.map(|(_, left, right)| (left, right)).collect())
}
