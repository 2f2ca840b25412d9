use super::mezo::{all_finite, update};
use super::pool::{POOL, PoolSettings};
use crate::run::check_cost;
use crate::{Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told};
use zograd_direction::Direction;

/// MeZO-Greedy: the two-sided estimate along the candidate with the lowest loss of a pool of M, whose loss
/// at `+z` is known from the pool already. M + 1 forwards (the authors' code spends M + 2).
///
/// arXiv 2601.04710. Among equal losses the first candidate wins. A pool of one is MeZO.
#[derive(Clone, Copy, Debug)]
pub struct Greedy {
    pool: usize,
}

impl Greedy {
    /// A strategy with `pool` candidates.
    ///
    /// # Errors
    /// `pool` is 0, or so large that a step would take more than
    /// [`MAX_EVALUATIONS`](crate::MAX_EVALUATIONS).
    pub fn new(pool: usize) -> Result<Self, StrategyError> {
        if pool == 0 {
            let fix = "use at least 1 candidate, such as 4";
            return Err(StrategyError::setting("pool", 0, fix));
        }
        check_cost("pool", pool, pool.saturating_add(1))?;
        Ok(Self { pool })
    }
}

impl Configured for Greedy {
    const NAME: &'static str = "greedy";
    const ABOUT: &'static str = "The pool's best candidate: M + 1 forwards";
    const SETTINGS: &'static [Setting] = &[POOL];
    type Settings = PoolSettings;

    fn configured(settings: PoolSettings) -> Result<Self, StrategyError> {
        Self::new(settings.pool)
    }
}

impl Strategy for Greedy {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.pool + 1
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let (pool, rest) = told.split_at(self.pool.min(told.len()));
        // `min_by` returns the first of equals
        let Some(best) = pool.iter().min_by(|a, b| a.loss.total_cmp(&b.loss)) else {
            let candidates = (0..self.pool as u64).map(|i| Direction::unit(step.seed.child(i)));
            return Ok(Action::Evaluate(candidates.collect()));
        };
        let z = best.direction.clone();
        Ok(match rest {
            [] => Action::Evaluate(vec![-z]),
            [minus, ..] => update(step, z, best.loss, minus.loss),
        })
    }
}
