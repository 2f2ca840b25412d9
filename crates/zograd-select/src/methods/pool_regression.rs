use super::mezo::all_finite;
use super::pool::{DEFAULT_POOL, POOL};
use super::shaping::{SHAPING, Shaping};
use crate::run::check_cost;
use crate::{
    Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told, Update,
};
use serde::{Deserialize, Serialize};
use zograd_direction::Direction;

/// Every candidate of a pool of M weighed by its loss:
/// `sum_i (l_i - mean l) z_i / (eps (M - 1))`. M forwards.
///
/// Not in the paper. In the linear regime it is the estimate with the best alignment to the gradient per
/// forward of those here, from a pool of 4 on; it is one-sided, so its bias is of order eps.
///
/// With a [`Shaping`] `s` it is an evolution strategy: `sum_i s_i z_i / M`, and neither `eps` nor the size of the loss is in
/// a step. With z-scores of rewards this is the rule of "Evolution Strategies at Scale" (arXiv 2509.24372).
#[derive(Clone, Copy, Debug)]
pub struct PoolRegression {
    pool: usize,
    shaping: Option<Shaping>,
}

/// The settings of [`PoolRegression`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolRegressionSettings {
    /// Candidates M.
    pub pool: usize,
    /// What the losses are replaced by; nothing without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shaping: Option<Shaping>,
}

impl Default for PoolRegressionSettings {
    fn default() -> Self {
        Self {
            pool: DEFAULT_POOL,
            shaping: None,
        }
    }
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
        let shaping = None;
        Ok(Self { pool, shaping })
    }

    /// The same with losses that are replaced by numbers without a scale.
    #[must_use]
    pub fn shaped(mut self, shaping: Shaping) -> Self {
        self.shaping = Some(shaping);
        self
    }
}

impl Configured for PoolRegression {
    const NAME: &'static str = "pool-regression";
    const ABOUT: &'static str =
        "Every candidate weighed by its loss: M forwards (not in the paper)";
    const SETTINGS: &'static [Setting] = &[POOL, SHAPING];
    type Settings = PoolRegressionSettings;

    fn configured(settings: PoolRegressionSettings) -> Result<Self, StrategyError> {
        let plain = Self::new(settings.pool)?;
        Ok(settings
            .shaping
            .map_or(plain, |shaping| plain.shaped(shaping)))
    }
}

impl Strategy for PoolRegression {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.pool
    }

    fn is_scale_free(&self) -> bool {
        self.shaping.is_some()
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
        let losses: Vec<f64> = told.iter().map(|t| t.loss).collect();
        // none if all are equal: then neither is there a slope
        let shaped = self.shaping.and_then(|shaping| shaping.of(&losses));
        let mean = losses.iter().sum::<f64>() / n;
        let mut direction = Direction::zero();
        let mut slopes = 0.0;
        for (place, candidate) in told.iter().enumerate() {
            let slope = (candidate.loss - mean) / (step.eps * (n - 1.0));
            let weight = shaped.as_ref().map_or(slope, |shaped| shaped[place] / n);
            direction.add_scaled(&candidate.direction, weight);
            slopes += slope.abs();
        }
        Ok(Action::update_or_skip(Update::new(direction, slopes / n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_direction::Seed;

    /// The coefficients of the update after these losses.
    fn weights(mut strategy: PoolRegression, losses: &[f64]) -> Vec<f64> {
        let step = StepContext::new(0, Seed::new(5), 1e-3);
        let Ok(Action::Evaluate(asked)) = strategy.next(&step, &[]) else {
            panic!("it asks first");
        };
        let told = asked.iter().cloned().zip(losses);
        let told: Vec<Told> = told.map(|(z, loss)| Told::new(z, *loss)).collect();
        match strategy.next(&step, &told) {
            Ok(Action::Update(update)) => {
                let seed = |z: &Direction| z.terms()[0].0;
                let weights = asked.iter().map(|z| update.direction.coefficient(seed(z)));
                weights.collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The rule of evolution strategies is `theta += alpha / M sum_i zscore(R_i) z_i`, of a reward that is minus the loss.
    #[test]
    fn a_shaped_pool_is_an_evolution_strategy() {
        let pool = |shaping| PoolRegression::new(4).expect("a pool").shaped(shaping);
        // mean 3, standard deviation 2
        let losses = [1.0, 5.0, 1.0, 5.0];
        let found = weights(pool(Shaping::ZScore), &losses);
        assert_eq!(found, [-0.25, 0.25, -0.25, 0.25]);
        let found = weights(pool(Shaping::Ranks), &[0.0, 9.0, 1.0, 2.0]);
        let expected = [-0.125, 0.125, -1.0 / 24.0, 1.0 / 24.0];
        let close = |(a, b): (&f64, f64)| (a - b).abs() < 1e-15;
        assert!(found.iter().zip(expected).all(close), "{found:?}");
        let flat = weights(pool(Shaping::Ranks), &[2.0; 4]);
        assert_eq!(flat, [0.0; 4]);
    }
}
