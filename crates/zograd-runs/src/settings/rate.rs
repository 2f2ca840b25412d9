//! The learning rate: a number, or a word.

use serde::{Deserialize, Serialize};
use zograd_trainer::MeasuredRate;

/// What measuring may cost: a tenth of the forward passes of the run.
const SHARE: u64 = 10;

/// A learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
#[non_exhaustive]
pub enum LearningRate {
    /// This one.
    Number(f64),
    /// The one that the curvature of the loss asks for, measured before the first step.
    Auto,
}

impl LearningRate {
    /// The word for a rate that is measured.
    pub const AUTO: &'static str = "auto";
}

/// As it stands in files.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(String),
}

impl From<LearningRate> for Written {
    fn from(rate: LearningRate) -> Self {
        match rate {
            LearningRate::Number(lr) => Self::Number(lr),
            LearningRate::Auto => Self::Word(LearningRate::AUTO.into()),
        }
    }
}

impl TryFrom<Written> for LearningRate {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(lr) => Ok(Self::Number(lr)),
            Written::Word(word) if word == Self::AUTO => Ok(Self::Auto),
            Written::Word(word) => Err(format!("`lr = {word}`: use a number or {}", Self::AUTO)),
        }
    }
}

/// Along how many directions the curvature is measured, for a run of so many forward passes, if it has a budget of them.
pub(super) fn directions(budget: Option<u64>) -> u64 {
    MeasuredRate::directions(budget.map_or(u64::MAX, |budget| budget / SHARE))
}

/// Forward passes that so many directions take.
pub(super) fn forwards(directions: u64) -> u64 {
    2 * directions
}
