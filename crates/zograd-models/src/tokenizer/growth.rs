//! By how much a tokenizer's file may have texts lengthened before they are cut into tokens, or after: a few hundred bytes of
//! replacements, one after another, could fill any memory.

use serde::Deserialize;
use serde_json::Value;

/// The longest that a text may become, in times of its length. Files as people have them come to some ten.
const MOST: usize = 4096;

/// What of a tokenizer's file replaces texts.
#[derive(Deserialize)]
struct Replacing {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    decoder: Value,
}

/// Refuses the text of a `tokenizer.json` that would have texts made more than 4,096 times as long.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn check(text: &str) -> Result<(), String> {
    // of what is no such file the library says what is wrong
    let Ok(Replacing {
        normalizer,
        decoder,
    }) = serde_json::from_str(text)
    else {
        return Ok(());
    };
    for (name, part) in [("normalizer", &normalizer), ("decoder", &decoder)] {
        if times(part) > MOST {
            return Err(format!(
                "its {name} would make a text more than {MOST} times as long"
            ));
        }
    }
    Ok(())
}

/// How many times as long a text may become by this part of the file.
fn times(part: &Value) -> usize {
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    match part["type"].as_str() {
        Some("Sequence") => {
            let parts = ["normalizers", "decoders"].map(|name| part[name].as_array());
            let parts = parts.into_iter().flatten().flatten();
            parts.map(times).fold(1, usize::saturating_mul)
        }
        Some("Replace") => {
            let content = length(&part["content"]);
            match length(&part["pattern"]["String"]) {
                // what matches nothing has room between any two bytes
                0 => content.saturating_add(1),
                pattern => content.div_ceil(pattern).max(1),
            }
        }
        Some("Prepend") => length(&part["prepend"]).saturating_add(1),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(normalizer: Value) -> Result<(), String> {
        check(&json!({"normalizer": normalizer, "model": {"type": "BPE"}}).to_string())
    }

    #[test]
    fn replacements_may_not_fill_memory() {
        let ten = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(10)});
        let some = |n: usize| json!({"type": "Sequence", "normalizers": vec![ten.clone(); n]});
        assert_eq!(with(some(3)), Ok(()));
        let why = with(some(4)).expect_err("ten thousand times");
        assert!(why.starts_with("its normalizer would make"), "{why}");
        with(json!({"type": "Sequence", "normalizers": [some(2), some(2)]})).expect_err("nested");
        let empty = json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "aaaaaaaa"});
        with(json!({"type": "Sequence", "normalizers": vec![empty; 8]})).expect_err("between all");
        let long =
            json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(5000)});
        with(long.clone()).expect_err("at once");
        let decoder = json!({"decoder": {"type": "Sequence", "decoders": [long]}}).to_string();
        check(&decoder).expect_err("in the decoder");
    }

    /// As SentencePiece's models have them, and T5's.
    #[test]
    fn usual_files_are_taken() {
        let usual = json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u{2581}"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u{2581}"},
            {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
        ]});
        assert_eq!(with(usual), Ok(()));
        assert_eq!(with(Value::Null), Ok(()));
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(check("no JSON"), Ok(()));
    }
}
