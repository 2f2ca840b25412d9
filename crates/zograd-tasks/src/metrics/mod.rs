//! Scores of predictions, with the definitions of the public MeZO code (`metrics.py`, itself after
//! SQuAD's evaluation script).

mod accuracy;
mod answer;

pub use accuracy::accuracy;
pub use answer::{exact_match, f1, normalize_answer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is measured: larger is better. All scores but rewards are between 0 and 1.
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
    /// The mean over samples of a [`Reward`](crate::rewards::Reward): that of a run, never of a task.
    Reward,
}

impl Metric {
    /// `accuracy`, `f1`, `exact_match` or `reward`: what records call it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::ExactMatch => "exact_match",
            Self::Reward => "reward",
        }
    }

    /// `accuracy`, `f1`, `exact match` or `reward`, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::ExactMatch => "exact match",
            Self::Reward => "reward",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
