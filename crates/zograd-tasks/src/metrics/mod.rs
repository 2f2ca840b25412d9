//! Scores of predictions, with the definitions of the public MeZO code (`metrics.py`, itself after
//! SQuAD's evaluation script).

mod accuracy;
mod answer;

pub use accuracy::accuracy;
pub use answer::{exact_match, f1, normalize_answer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a task is scored. All scores are between 0 and 1, larger is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The share of samples whose chosen option is right: [`accuracy`].
    Accuracy,
    /// The mean over samples of the word overlap of the written answer with the gold answer it fits
    /// best: [`f1`].
    F1,
    /// The share of samples whose written answer is one of the gold answers: [`exact_match`].
    ExactMatch,
}

impl Metric {
    /// `accuracy`, `f1` or `exact_match`: what records call it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::ExactMatch => "exact_match",
        }
    }

    /// `accuracy`, `f1` or `exact match`, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::ExactMatch => "exact match",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
