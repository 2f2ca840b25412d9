use super::mezo::all_finite;
use super::pool::{POOL, PoolSettings};
use crate::run::check_cost;
use crate::{
    Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told, Update,
};
use zograd_direction::Direction;

/// Every candidate of a pool of M weighed by its loss:
/// `sum_i (l_i - mean l) z_i / (eps (M - 1))`. M forwards.
///
/// Not in the paper. In the linear regime it is the estimate with the best alignment to the gradient per
/// forward of those here, from a pool of 4 on; it is one-sided, so its bias is of order eps.
#[derive(Clone, Copy, Debug)]
pub struct PoolRegression {
    pool: usize,
}

impl PoolRegression {
    /// A strategy with `pool` candidates.
    ///
    /// # Errors
    /// `pool` is less than 2 or more than [`MAX_EVALUATIONS`](crate::MAX_EVALUATIONS).
    pub fn new(pool: usize) -> Result<Self, StrategyError> {
        if pool < 2 {
            let fix = "a regression needs at least 2 candidates, such as 4";
            return Err(StrategyError::setting("pool", pool, fix));
        }
        check_cost("pool", pool, pool)?;
        Ok(Self { pool })
    }
}

impl Configured for PoolRegression {
    const NAME: &'static str = "pool-regression";
    const ABOUT: &'static str =
        "Every candidate weighed by its loss: M forwards (not in the paper)";
    const SETTINGS: &'static [Setting] = &[POOL];
    type Settings = PoolSettings;

    fn configured(settings: PoolSettings) -> Result<Self, StrategyError> {
        Self::new(settings.pool)
    }
}

impl Strategy for PoolRegression {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.pool
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        if told.is_empty() {
            let candidates = (0..self.pool as u64).map(|i| Direction::unit(step.seed.child(i)));
            return Ok(Action::Evaluate(candidates.collect()));
        }
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let n = told.len() as f64;
        let mean = told.iter().map(|t| t.loss).sum::<f64>() / n;
        let mut direction = Direction::zero();
        let mut slopes = 0.0;
        for candidate in told {
            let slope = (candidate.loss - mean) / (step.eps * (n - 1.0));
            direction.add_scaled(&candidate.direction, slope);
            slopes += slope.abs();
        }
        Ok(Action::update_or_skip(Update::new(direction, slopes / n)))
    }
}
