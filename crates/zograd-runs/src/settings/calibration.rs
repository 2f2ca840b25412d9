//! What is done about a shift that the options of a task have in common, and about classes that are not as frequent as one
//! another.

use super::owner::Owner;
use super::tuning::Tune;
use crate::error::{Result, refuse};
use serde::{Deserialize, Serialize};
use zograd_select::Setting;

/// What forward passes say of the options by themselves, beside the losses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CalibrationOptions {
    /// Give the options biases that are fitted in every step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub calibrate: bool,
    /// Training examples to which the norm before the head is fitted before the first step.
    pub head_fit: Option<usize>,
}

impl Owner for CalibrationOptions {
    const NAME: &'static str = "zeroth-order methods";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[
        Setting::switch(
            "calibrate",
            "Add a bias to the score of each option, fitted to the batch in every step, and on 128 training examples for \
             evaluations and the kept weights (objective classification only)",
        ),
        Setting::count(
            "head-fit",
            "N",
            "Before the first step, fit the gain of the norm before the head to N training examples, by a regression of \
             the options; its forward passes count",
        )
        .or("0: not"),
    ];
}

impl CalibrationOptions {
    /// To how many training examples the norm before the head is fitted, if it is.
    pub(super) fn rows(&self, tune: Tune) -> Result<Option<usize>> {
        let rows = self.head_fit.filter(|rows| *rows > 0);
        match (rows, tune) {
            (Some(rows), Tune::Lora | Tune::Prefix) => refuse!(
                "`head-fit = {rows}`: not with `tune = {tune}`: it moves weights of the base, which an adapter does not hold; use 0"
            ),
            _ => Ok(rows),
        }
    }
}

/// How batches are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchOptions {
    /// Let classes take turns.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub balanced: bool,
}

impl Owner for BatchOptions {
    const NAME: &'static str = "methods with steps";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[Setting::switch(
        "balanced",
        "Have every batch hold as many examples of each class, but for one; rare ones come more often",
    )];
}
