use super::mezo::all_finite;
use crate::run::check_cost;
use crate::{
    Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told, Update,
};
use serde::{Deserialize, Serialize};
use zograd_direction::Direction;

/// The mean of `queries` independent [`Mezo`](crate::Mezo) estimates (n-SPSA): 2 q forwards.
///
/// arXiv 2305.17333, definition 1 with n > 1.
#[derive(Clone, Copy, Debug)]
pub struct NSpsa {
    queries: usize,
}

impl NSpsa {
    /// A strategy of `queries` two-sided estimates a step.
    ///
    /// # Errors
    /// `queries` is 0, or so large that a step would take more than
    /// [`MAX_EVALUATIONS`](crate::MAX_EVALUATIONS).
    pub fn new(queries: usize) -> Result<Self, StrategyError> {
        if queries == 0 {
            return Err(StrategyError::setting("queries", 0, "use at least 1"));
        }
        check_cost("queries", queries, queries.saturating_mul(2))?;
        Ok(Self { queries })
    }
}

/// The settings of [`NSpsa`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NSpsaSettings {
    /// Independent estimates of a step.
    pub queries: usize,
}

impl Default for NSpsaSettings {
    fn default() -> Self {
        Self { queries: 2 }
    }
}

impl Configured for NSpsa {
    const NAME: &'static str = "n-spsa";
    const ABOUT: &'static str = "The mean of q independent MeZO estimates: 2 q forwards";
    const SETTINGS: &'static [Setting] = &[Setting::count(
        "queries",
        "Q",
        "Independent estimates q of a step",
    )];
    type Settings = NSpsaSettings;

    fn configured(settings: NSpsaSettings) -> Result<Self, StrategyError> {
        Self::new(settings.queries)
    }
}

impl Strategy for NSpsa {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        2 * self.queries
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let z = |k| Direction::unit(step.seed.child(k));
        let queries = 0..self.queries as u64;
        if told.is_empty() {
            // +z and -z next to each other: one noise stream for the hop between them
            return Ok(Action::Evaluate(
                queries.flat_map(|k| [z(k), -z(k)]).collect(),
            ));
        }
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let mut direction = Direction::zero();
        let mut slopes = 0.0;
        for (k, pair) in queries.zip(told.chunks_exact(2)) {
            let slope = (pair[0].loss - pair[1].loss) / (2.0 * step.eps);
            direction.add_scaled(&z(k), slope / self.queries as f64);
            slopes += slope.abs();
        }
        let slope = slopes / self.queries as f64;
        Ok(Action::update_or_skip(Update::new(direction, slope)))
    }
}
