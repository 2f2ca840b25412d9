//! What is made of updates before they reach the weights.

use super::family::FamilyName;
use super::owner::Owner;
use crate::error::{Blame, Result, refuse};
use serde::{Deserialize, Serialize};
use std::fmt;
use zograd_select::{Setting, StepRules, StepScale};

/// What is made of the updates of any zeroth-order method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StepRuleOptions {
    /// What is left of an update one step later.
    pub momentum: Option<f64>,
    /// Updates in the sum.
    pub momentum_steps: Option<u64>,
    /// What updates are divided by.
    pub step_scale: Option<StepScale>,
    /// What is left of a square one step later.
    pub beta2: Option<f64>,
}

impl Owner for StepRuleOptions {
    const NAME: &'static str = "zeroth-order methods";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = StepRules::SETTINGS;
}

impl StepRuleOptions {
    /// Fills in what was left open.
    pub(super) fn complete(&mut self) -> Result<StepRules> {
        let Self {
            momentum,
            momentum_steps,
            step_scale,
            beta2,
        } = *self;
        let mut rules = StepRules::default();
        (rules.momentum, rules.momentum_steps) = (momentum, momentum_steps);
        (rules.step_scale, rules.beta2) = (step_scale, beta2);
        let rules = rules.completed().or_input()?;
        (self.momentum_steps, self.beta2) = (rules.momentum_steps, rules.beta2);
        Ok(rules)
    }
}

/// A rule that changes updates; of two the one that is harder to go with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepRule {
    /// They are summed up.
    Momentum,
    /// They are divided.
    StepScale,
}

impl StepRule {
    pub(super) fn of(rules: &StepRules) -> Option<Self> {
        match (rules.momentum, rules.step_scale) {
            (Some(_), _) => Some(Self::Momentum),
            (None, Some(_)) => Some(Self::StepScale),
            (None, None) => None,
        }
    }

    /// Refuses momentum where the seed of an earlier step means something else than it did.
    pub(super) fn check(self, family: FamilyName, is_informed: bool) -> Result<()> {
        match (self, family) {
            (Self::Momentum, FamilyName::Dense | FamilyName::Sparse) if is_informed => refuse!(
                "`momentum`: not with `informed`, whose direction is known in its own step alone; leave one of them out"
            ),
            (Self::StepScale, _) if is_informed => refuse!(
                "`step-scale`: not with `informed`, whose slopes are of another size than those along noise; leave one of them out"
            ),
            (Self::Momentum, FamilyName::Dense | FamilyName::Sparse) | (Self::StepScale, _) => {
                Ok(())
            }
            (Self::Momentum, _) => refuse!(
                "`momentum`: not with `perturbation = {family}`, where past seeds mean something else than they did; use \
                 dense or sparse"
            ),
        }
    }
}

impl fmt::Display for StepRule {
    /// Its setting.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Momentum => "momentum",
            Self::StepScale => "step-scale",
        })
    }
}
