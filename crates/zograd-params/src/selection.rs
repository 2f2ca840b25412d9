//! Which parameters move.

use serde::{Deserialize, Serialize};

/// Which parameters of a module move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Selection {
    /// Every float parameter (full fine-tuning).
    #[default]
    All,
    /// Those whose name matches one of these patterns; `*` stands for any run of characters.
    Matching(Vec<String>),
}

impl Selection {
    /// Those whose name matches one of these patterns; `*` stands for any run of characters.
    pub fn matching(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Matching(patterns.into_iter().map(Into::into).collect())
    }

    /// Whether a parameter of this name moves.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Matching(patterns) => patterns.iter().any(|p| matches(p, name)),
        }
    }
}

/// Whether `name` matches `pattern`, in which `*` stands for any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => match name.strip_prefix(head) {
            None => false,
            Some(tail) => (0..=tail.len())
                .filter(|&i| tail.is_char_boundary(i))
                .any(|i| matches(rest, &tail[i..])),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_like_a_shell() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("*.bias", "fc1.bias", true),
            ("*.bias", "fc1.bias_like", false),
            ("decoder.*.fc*.weight", "decoder.layers.0.fc2.weight", true),
            ("decoder", "decoder.x", false),
            ("*.lora.*", "q_proj.lora.a", true),
            ("*.lora.*", "explora.weight", false),
            ("", "", true),
            ("*é*", "caféteria", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
