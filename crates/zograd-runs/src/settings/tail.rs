//! What a run along the tail has settings for.

use super::machine::Storage;
use super::owner::Owner;
use crate::error::{Result, refuse};
use serde::{Deserialize, Serialize};
use zograd_select::{Choice, Setting};
use zograd_trainer::TailStep;

/// The settings of a run along the tail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TailOptions {
    /// What makes a step of the gradient.
    pub tail_step: Option<TailStep>,
}

/// The names of [`TailStep`].
const STEPS: &[Choice] = &[
    Choice {
        name: "normalised",
        help: "The gradient over the root of its mean square, tensor by tensor",
    },
    Choice {
        name: "sgd",
        help: "The gradient itself",
    },
];

impl Owner for TailOptions {
    const NAME: &'static str = "tail";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[Setting::choice(
        "tail-step",
        "STEP",
        "What makes a step of the tail's gradient",
        STEPS,
    )
    .or("normalised")];
}

impl TailOptions {
    /// Fills in what was left open.
    pub(super) fn complete(&mut self, storage: Storage) -> Result<TailStep> {
        if storage != Storage::F32 {
            refuse!(
                "`dtype = {storage}`: a step along the tail moves weights by less than 16 bits can hold; use `dtype = f32`"
            );
        }
        Ok(*self.tail_step.get_or_insert_default())
    }
}
