//! From samples to token ids.

mod encoder;
mod error;
mod form;

pub use encoder::PromptEncoder;
pub use error::PromptError;
pub use form::{Demonstrations, Form};
use serde::{Deserialize, Serialize};

/// A sample in one [`Form`], as a model reads it: one token sequence per candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Row number of the sample in its split, from 0.
    pub row: usize,
    /// Indices of the right candidates, the one to train on first. Empty for a prompt after which
    /// the model is to write its answer.
    pub correct: Vec<usize>,
    /// The candidates, in the order of the task.
    pub candidates: Vec<EncodedCandidate>,
}

/// One token sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedCandidate {
    /// What the ids say, the first token of every sequence (BOS) left out.
    pub text: String,
    /// Token ids, not padded.
    pub ids: Vec<u32>,
    /// How many of the last ids are the option, whose probability is asked for: at least 1 and less
    /// than all; 0 for a prompt after which the model is to write its answer.
    pub option_len: usize,
    /// How many ids were cut from the left to keep to the maximum length.
    pub truncated: usize,
}
