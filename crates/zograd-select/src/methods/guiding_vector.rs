use super::mezo::{all_finite, two_sided};
use super::pool::{DEFAULT_POOL, POOL};
use crate::run::check_cost;
use crate::{Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told};
use serde::{Deserialize, Serialize};
use zograd_direction::Direction;

/// MeZO-GV: a pool of M candidates, `v` = mean of the floor(alpha M) with the lowest losses minus mean of
/// the rest, then the two-sided estimate along `v`. M + 2 forwards.
///
/// arXiv 2601.04710. Candidates of equal loss are ordered by their index. `v` is made of the very noise
/// that was evaluated (the authors' code rebuilds it from other noise).
///
/// **A pool of two costs two forwards.** Then `v = +-(z_0 - z_1)`, the pool's losses decide the sign only,
/// and the two-sided update `g v` is the same for `v` and `-v`; so they are not evaluated, unless
/// `faithful_cost` asks for it. The step is MeZO along `z_0 - z_1`.
#[derive(Clone, Copy, Debug)]
pub struct GuidingVector {
    pool: usize,
    top: usize,
    faithful_cost: bool,
}

impl GuidingVector {
    /// A strategy with `pool` candidates, of which floor(`alpha` * `pool`) count as good. The paper uses a
    /// pool of 2 or 4 and alpha = 0.5.
    ///
    /// # Errors
    /// A pool of less than 2 or so large that a step would take more than
    /// [`MAX_EVALUATIONS`](crate::MAX_EVALUATIONS), or an alpha that leaves no candidate on one of the sides.
    pub fn new(pool: usize, alpha: f64, faithful_cost: bool) -> Result<Self, StrategyError> {
        if pool < 2 {
            let fix = "a guiding vector compares at least 2 candidates; use 2 or more, or `method = mezo`";
            return Err(StrategyError::setting("pool", pool, fix));
        }
        check_cost("pool", pool, pool.saturating_add(2))?;
        let top = (alpha * pool as f64).floor();
        if !(top >= 1.0 && top < pool as f64) {
            let fix = format!(
                "floor(alpha * pool) is {top} of a pool of {pool}, and must be at least 1 and less than the \
                 pool; try 0.5"
            );
            return Err(StrategyError::setting("alpha", alpha, fix));
        }
        Ok(Self {
            pool,
            top: top as usize,
            faithful_cost,
        })
    }

    fn asks_the_pool(&self) -> bool {
        self.pool > 2 || self.faithful_cost
    }
}

/// The settings of [`GuidingVector`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuidingVectorSettings {
    /// Candidates M (the paper: 2 or 4; from 3 on their losses matter).
    pub pool: usize,
    /// Share of the pool that counts as good (the paper: 0.5).
    pub alpha: f64,
    /// Evaluate a pool of two although it cannot change the update.
    pub faithful_cost: bool,
}

impl Default for GuidingVectorSettings {
    fn default() -> Self {
        Self {
            pool: DEFAULT_POOL,
            alpha: 0.5,
            faithful_cost: false,
        }
    }
}

impl Configured for GuidingVector {
    const NAME: &'static str = "gv";
    const ABOUT: &'static str = "Guiding vector: mean of the pool's low-loss candidates minus mean of the rest: \
                                 M + 2 forwards";
    const SETTINGS: &'static [Setting] = &[
        POOL,
        Setting::number(
            "alpha",
            "A",
            "Share of the pool that counts as good, in (0, 1)",
        ),
        Setting::switch(
            "faithful-cost",
            "Also evaluate a pool of two, which cannot change the update",
        ),
    ];
    type Settings = GuidingVectorSettings;

    fn configured(settings: GuidingVectorSettings) -> Result<Self, StrategyError> {
        Self::new(settings.pool, settings.alpha, settings.faithful_cost)
    }
}

impl Strategy for GuidingVector {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        if self.asks_the_pool() {
            self.pool + 2
        } else {
            2
        }
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let z = |i| Direction::unit(step.seed.child(i));
        if !self.asks_the_pool() {
            return Ok(two_sided(step, z(0) - z(1), told));
        }
        if told.is_empty() {
            return Ok(Action::Evaluate((0..self.pool as u64).map(z).collect()));
        }
        let (pool, rest) = told.split_at(self.pool.min(told.len()));
        let v = guiding_vector(pool, self.top);
        Ok(two_sided(step, v, rest))
    }
}

/// Mean of the `top` candidates with the lowest losses minus mean of the others; equal losses in order of
/// index.
pub(super) fn guiding_vector(pool: &[Told], top: usize) -> Direction {
    let mut order: Vec<&Told> = pool.iter().collect();
    order.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    let (good, bad) = order.split_at(top);
    let mut v = Direction::zero();
    for (group, sign) in [(good, 1.0), (bad, -1.0)] {
        for candidate in group {
            v.add_scaled(&candidate.direction, sign / group.len() as f64);
        }
    }
    v
}
