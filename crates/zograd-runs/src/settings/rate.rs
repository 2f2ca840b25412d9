//! The learning rate: a number, or a word.

use crate::error::{Result, refuse};
use serde::{Deserialize, Serialize};
use zograd_trainer::{Limit, MeasuredRate, Measuring};

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

/// How the rate of a run is measured that has this many forward passes, if it has a budget of them, or this limit. `asked`
/// forward passes are made as they are, whatever the budget is.
///
/// # Errors
/// A number of forward passes that is not possible.
pub(super) fn measuring(
    asked: Option<u64>,
    budget: Option<u64>,
    limit: Option<Limit>,
) -> Result<Measuring> {
    match asked {
        Some(n) if n % 2 == 0 && MeasuredRate::directions(n) == n / 2 => {
            Ok(Measuring::along(n / 2))
        }
        Some(n) => refuse!(
            "`lr-forwards = {n}`: use an even number from {} to {}",
            forwards(&Measuring::along(MeasuredRate::directions(0))),
            forwards(&Measuring::along(MeasuredRate::directions(u64::MAX)))
        ),
        None => {
            let share = |budget: u64| (budget as f64 * Measuring::SHARE) as u64;
            let directions = MeasuredRate::directions(budget.map_or(u64::MAX, share));
            Ok(Measuring::along(directions).within(limit))
        }
    }
}

/// Forward passes that it takes, at most where there is a limit.
pub(super) fn forwards(measuring: &Measuring) -> u64 {
    2 * measuring.directions
}
