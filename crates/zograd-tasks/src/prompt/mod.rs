//! From samples to token ids.

mod chat;
mod encoder;
mod error;
mod form;
mod pieces;

pub use encoder::PromptEncoder;
pub use error::PromptError;
pub use form::{Demonstrations, Form};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::Range;

/// A sample in one [`Form`], as a model reads it: one token sequence per candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Row number of the sample in its split, from 0.
    pub row: usize,
    /// Indices of the right candidates, the one to train on first. Empty for a prompt after which
    /// the model is to write its answer.
    pub correct: Vec<usize>,
    /// The candidates, in the order of the task.
    pub candidates: Vec<EncodedCandidate>,
    /// The candidates without the input, in the same order: what the model thinks of them by
    /// themselves, to be subtracted. Empty where nothing is calibrated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<EncodedCandidate>,
    /// What the model has to answer in its own words, in generation tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// Turns of the assistant in a chat that are in no loss, because the template writes them otherwise once the chat has
    /// gone on.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_out: usize,
}

fn is_none(number: &usize) -> bool {
    *number == 0
}

/// A prompt after which a model writes its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The prompt; its `option_len` is 0.
    pub prompt: EncodedCandidate,
    /// The answers that are right; none where the row does not say it.
    pub answers: Vec<String>,
    /// The fields of the row, in runs by a reward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Map<String, Value>>,
}

/// One token sequence; [`PromptEncoder::shown`] says it in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedCandidate {
    /// Token ids, not padded.
    pub ids: Vec<u32>,
    /// How many of the last ids are the option, whose probability is asked for: at least 1 and less
    /// than all; 0 for a prompt after which the model is to write its answer.
    pub option_len: usize,
    /// How many ids were cut from the left to keep to the maximum length.
    pub truncated: usize,
    /// Which of the option's ids are not asked for, by their places in the option: in a chat what stands between the
    /// assistant's turns. Ascending, neither at the option's beginning nor at its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Range<usize>>,
}

impl EncodedCandidate {
    /// How many ids are asked for: those of the option without its gaps.
    pub fn scored(&self) -> usize {
        let gaps: usize = self.gaps.iter().map(Range::len).sum();
        self.option_len - gaps
    }

    /// How many of them stand together at the end.
    pub fn last_scored(&self) -> usize {
        self.option_len - self.gaps.last().map_or(0, |gap| gap.end)
    }

    /// Whether an id of the option, by its place there, is in a gap.
    pub fn is_gap(&self, place: usize) -> bool {
        self.gaps.iter().any(|gap| gap.contains(&place))
    }
}
