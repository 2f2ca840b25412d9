//! How a text is split before a byte-level BPE joins bytes: `tokenizer.ggml.pre`.

use serde_json::{Value, json};

/// Where Llama 3 splits: digits in threes.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Where Qwen 2 and 3 split: every digit.
const QWEN_2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// Words, numbers, the rest.
    Gpt2,
    /// The same, every digit by itself.
    Digits,
    Llama3,
    Qwen2,
}

impl Split {
    /// What is read, for errors.
    pub const NAMES: &str = "gpt-2, smollm, llama-bpe, qwen2";

    /// That of a name in files.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "gpt-2" | "gpt2" | "phi-2" => Self::Gpt2,
            "smollm" | "starcoder" | "refact" => Self::Digits,
            "llama-bpe" | "llama3" | "llama-v3" => Self::Llama3,
            "qwen2" | "deepseek-r1-qwen" => Self::Qwen2,
            _ => return None,
        })
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt-2",
            Self::Digits => "smollm",
            Self::Llama3 => "llama-bpe",
            Self::Qwen2 => "qwen2",
        }
    }

    /// `pre_tokenizer` of tokenizer.json.
    pub fn json(self) -> Value {
        let level = |use_regex: bool| {
            json!({
                "type": "ByteLevel",
                "add_prefix_space": false,
                "trim_offsets": true,
                "use_regex": use_regex,
            })
        };
        let first = match self {
            Self::Gpt2 => return level(true),
            Self::Digits => json!({"type": "Digits", "individual_digits": true}),
            Self::Llama3 => isolated(LLAMA_3),
            Self::Qwen2 => isolated(QWEN_2),
        };
        json!({
            "type": "Sequence",
            "pretokenizers": [first, level(self == Self::Digits)],
        })
    }

    /// That of a `pre_tokenizer`, by what it does before bytes are spelled.
    pub fn of_json(pre_tokenizer: &Value) -> Option<Self> {
        let parts = match pre_tokenizer["pretokenizers"].as_array() {
            Some(parts) => parts.as_slice(),
            None => std::slice::from_ref(pre_tokenizer),
        };
        let (level, before) = parts.split_last()?;
        if level["type"] != "ByteLevel" || level["add_prefix_space"] == true {
            return None;
        }
        let words = level["use_regex"] != false;
        match before {
            [] if words => Some(Self::Gpt2),
            [first] if words => {
                let digits = first["type"] == "Digits" && first["individual_digits"] == true;
                digits.then_some(Self::Digits)
            }
            [first] if first["type"] == "Split" && first["behavior"] == "Isolated" => {
                match first["pattern"]["Regex"].as_str()? {
                    LLAMA_3 => Some(Self::Llama3),
                    QWEN_2 => Some(Self::Qwen2),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a piece of a text that is a token is not put together from smaller ones.
    pub fn ignores_merges(self) -> bool {
        self == Self::Llama3
    }

    /// Whether composed and decomposed letters are one.
    pub fn composes(self) -> bool {
        self == Self::Qwen2
    }

    /// Whether a text begins with a token, where a file does not say.
    pub fn begins(self) -> bool {
        self == Self::Llama3
    }
}

fn isolated(regex: &str) -> Value {
    json!({
        "type": "Split",
        "pattern": {"Regex": regex},
        "behavior": "Isolated",
        "invert": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_is_recognised() {
        for split in [Split::Gpt2, Split::Digits, Split::Llama3, Split::Qwen2] {
            assert_eq!(Split::of_name(split.name()), Some(split));
            assert_eq!(Split::of_json(&split.json()), Some(split));
        }
        assert_eq!(Split::of_name("tekken"), None);
        assert_eq!(Split::of_json(&json!({"type": "Whitespace"})), None);
        assert_eq!(Split::of_json(&Value::Null), None);
    }
}
