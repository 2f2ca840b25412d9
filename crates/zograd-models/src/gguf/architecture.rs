//! The families of models that are read from GGUF files and written to them.

/// `general.architecture`. Files of Mistral say `llama`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
}

impl Architecture {
    pub const ALL: [Self; 4] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma3];

    /// As files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
        }
    }

    /// `model_type` in config.json.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Gemma3 => "gemma3_text",
            other => other.name(),
        }
    }

    /// The class in Hugging Face.
    pub fn class(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Gemma3 => "Gemma3ForCausalLM",
        }
    }

    /// That of a `general.architecture`.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// That of a `model_type`.
    pub fn of_model_type(model_type: &str) -> Option<Self> {
        match model_type {
            "mistral" => Some(Self::Llama),
            other => Self::ALL.into_iter().find(|it| it.model_type() == other),
        }
    }

    /// Whether llama.cpp permutes the rows of queries and keys ([`rows`](super::rows)).
    pub fn permutes(self) -> bool {
        self == Self::Llama
    }

    /// Whether norms are kept as their distance from one in Hugging Face, and as they are in GGUF.
    pub fn norms_from_one(self) -> bool {
        self == Self::Gemma3
    }
}
