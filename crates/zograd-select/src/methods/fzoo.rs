use super::mezo::all_finite;
use super::pool::{POOL, PoolSettings};
use crate::run::check_cost;
use crate::{
    Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told, Update,
};
use zograd_direction::Direction;

/// FZOO: one-sided slopes of a pool of N, all divided by the spread of the pool's losses:
/// `sum_i (l_i - l_0) z_i / (N sigma)`, where `l_0` is the loss of the weights as they are and `sigma` the standard
/// deviation of `l_1 .. l_N`. N + 1 forwards.
///
/// `sigma` is about `eps |g|`, so a step is about as long wherever the loss is steep or flat, whatever its scale: neither
/// `eps` nor the size of the loss is in it, and a learning rate means something else than with other methods.
///
/// arXiv 2506.09034, with signs as noise (`noise = "rademacher"`) and N = 8.
#[derive(Clone, Copy, Debug)]
pub struct Fzoo {
    pool: usize,
}

impl Fzoo {
    /// A strategy with `pool` candidates.
    ///
    /// # Errors
    /// `pool` is less than 2, or a step would take more than [`MAX_EVALUATIONS`](crate::MAX_EVALUATIONS).
    pub fn new(pool: usize) -> Result<Self, StrategyError> {
        if pool < 2 {
            let fix = "a spread needs at least 2 candidates, such as 8";
            return Err(StrategyError::setting("pool", pool, fix));
        }
        check_cost("pool", pool, pool.saturating_add(1))?;
        Ok(Self { pool })
    }
}

impl Configured for Fzoo {
    const NAME: &'static str = "fzoo";
    const ABOUT: &'static str =
        "One-sided slopes over the spread of the pool's losses (FZOO): M + 1 forwards";
    const SETTINGS: &'static [Setting] = &[POOL];
    type Settings = PoolSettings;

    fn configured(settings: PoolSettings) -> Result<Self, StrategyError> {
        Self::new(settings.pool)
    }
}

impl Strategy for Fzoo {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.pool + 1
    }

    fn is_scale_free(&self) -> bool {
        true
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let [here, pool @ ..] = told else {
            let candidates = (0..self.pool as u64).map(|i| Direction::unit(step.seed.child(i)));
            let all = std::iter::once(Direction::zero()).chain(candidates);
            return Ok(Action::Evaluate(all.collect()));
        };
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let n = pool.len() as f64;
        let mean = pool.iter().map(|t| t.loss).sum::<f64>() / n;
        let squares = pool.iter().map(|t| (t.loss - mean).powi(2)).sum::<f64>();
        let sigma = (squares / (n - 1.0)).sqrt();
        if sigma == 0.0 {
            // nothing is known of the slope, and the rest of a rounding would be blown up to a whole step
            return Ok(Action::Skip(SkipReason::VanishingGradient));
        }
        let mut direction = Direction::zero();
        let mut slopes = 0.0;
        for candidate in pool {
            let rise = candidate.loss - here.loss;
            direction.add_scaled(&candidate.direction, rise / (n * sigma));
            slopes += (rise / step.eps).abs();
        }
        Ok(Action::update_or_skip(Update::new(direction, slopes / n)))
    }
}
