//! What is done about a shift that the options of a task have in common, and about classes that are not as frequent as one
//! another.

use super::owner::Owner;
use serde::{Deserialize, Serialize};
use zograd_select::Setting;

/// What forward passes say of the options by themselves, beside the losses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CalibrationOptions {
    /// Give the options biases that are fitted in every step.
    pub calibrate: Option<bool>,
}

impl Owner for CalibrationOptions {
    const NAME: &'static str = "zeroth-order methods";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[Setting::switch(
        "calibrate",
        "Add a bias to the score of each option, fitted to the batch in every step, and on 128 training examples for \
         evaluations and the kept weights (objective classification only)",
    )];
}

/// How batches are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchOptions {
    /// Let classes take turns.
    pub balanced: Option<bool>,
}

impl Owner for BatchOptions {
    const NAME: &'static str = "methods with steps";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[Setting::switch(
        "balanced",
        "Have every batch hold as many examples of each class, but for one; rare ones come more often",
    )];
}
