use crate::{
    Action, Configured, NoSettings, Setting, SkipReason, StepContext, Strategy, StrategyError,
    Told, Update,
};
use zograd_direction::Direction;

/// MeZO (SPSA with one direction):
/// `g = (L(theta + eps z) - L(theta - eps z)) / (2 eps)`, `theta <- theta - lr g z`.
///
/// arXiv 2305.17333, algorithm 1; two forwards.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mezo;

impl Configured for Mezo {
    const NAME: &'static str = "mezo";
    const ABOUT: &'static str = "SPSA along one random direction: 2 forwards a step";
    const SETTINGS: &'static [Setting] = &[];
    type Settings = NoSettings;

    fn configured(NoSettings {}: NoSettings) -> Result<Self, StrategyError> {
        Ok(Self)
    }
}

impl Strategy for Mezo {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        2
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        Ok(two_sided(step, Direction::unit(step.seed.child(0)), told))
    }
}

/// The two-sided estimate along `v`, of which `told` holds nothing yet or both losses, which are finite.
pub(super) fn two_sided(step: &StepContext, v: Direction, told: &[Told]) -> Action {
    match told {
        [plus, minus, ..] => update(step, v, plus.loss, minus.loss),
        _ => Action::Evaluate(vec![v.clone(), -v]),
    }
}

/// The update from the losses at `+v` and `-v`.
pub(super) fn update(step: &StepContext, v: Direction, plus: f64, minus: f64) -> Action {
    let slope = (plus - minus) / (2.0 * step.eps);
    Action::update_or_skip(Update::along(v, slope))
}

/// Whether every loss told is finite; if one is not, the step is to be skipped.
pub(super) fn all_finite(told: &[Told]) -> bool {
    told.iter().all(|evaluation| evaluation.loss.is_finite())
}
