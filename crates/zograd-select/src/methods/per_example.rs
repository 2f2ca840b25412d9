use super::mezo::all_finite;
use super::pool::{POOL, PoolSettings};
use crate::run::check_cost;
use crate::{
    Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told, Update,
};
use zograd_direction::Direction;

/// Per-example pools: every example `e` of a minibatch of B is probed along N directions of its own, and weighs them by its
/// own losses:
///
/// ```text
/// ghat = 1/B sum_ej w_ej z_ej        w_ej = (l_ej - mean_j l_ej) / (eps (N - 1))
/// ```
///
/// So B N directions are tried at the price of N forwards of the minibatch, and what tells examples apart is in no
/// difference of losses. With N = 2 the directions of an example are `z_e` and `-z_e`, N stands in place of N - 1, and the estimate is the two-sided
/// one, `(l_e+ - l_e-) / (2 eps) z_e`; with more it is that of [`PoolRegression`](crate::PoolRegression), whose bias is
/// of order eps.
///
/// An estimate is as good as one along a common direction with B times as many probes where examples agree on the
/// gradient, and no better where they do not.
///
/// Noise for each example is from GRZO (arXiv 2606.02857), whose examples share theirs up to signs, and which divides by
/// the spread of the slopes; pools of more than two are not in the paper.
#[derive(Clone, Copy, Debug)]
pub struct PerExample {
    pool: usize,
}

impl PerExample {
    /// A strategy with `pool` candidates an example.
    ///
    /// # Errors
    /// `pool` is less than 2 or more than [`MAX_EVALUATIONS`](crate::MAX_EVALUATIONS).
    pub fn new(pool: usize) -> Result<Self, StrategyError> {
        if pool < 2 {
            let fix = "an example needs at least 2 candidates: 2 opposite ones, or more such as 4";
            return Err(StrategyError::setting("pool", pool, fix));
        }
        check_cost("pool", pool, pool)?;
        Ok(Self { pool })
    }

    /// Whether the candidates of an example are a direction and its opposite.
    fn is_two_sided(self) -> bool {
        self.pool == 2
    }

    /// Directions of an example, opposite ones counted once.
    fn drawn(self) -> usize {
        if self.is_two_sided() { 1 } else { self.pool }
    }

    /// What an example is asked about.
    fn candidates(self, step: &StepContext, example: usize) -> Vec<Direction> {
        let first = example * self.drawn();
        let drawn = first..first + self.drawn();
        let z = drawn.map(|index| Direction::unit(step.seed.child(index as u64)));
        match self.is_two_sided() {
            true => z.flat_map(|z| [z.clone(), -z]).collect(),
            false => z.collect(),
        }
    }

    /// `w_ej` of an example. Opposite directions are in balance, so that all of N are free and not N - 1.
    fn weights(self, told: &[Told], eps: f64) -> impl Iterator<Item = f64> {
        let n = told.len() as f64;
        let free = if self.is_two_sided() { n } else { n - 1.0 };
        let mean = told.iter().map(|t| t.loss).sum::<f64>() / n;
        told.iter().map(move |t| (t.loss - mean) / (eps * free))
    }
}

impl Configured for PerExample {
    const NAME: &'static str = "per-example";
    const ABOUT: &'static str =
        "Every example along M directions of its own, of low rank: M forwards (after GRZO)";
    const SETTINGS: &'static [Setting] = &[POOL];
    type Settings = PoolSettings;

    fn configured(settings: PoolSettings) -> Result<Self, StrategyError> {
        Self::new(settings.pool)
    }
}

impl Strategy for PerExample {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.pool
    }

    fn is_per_example(&self) -> bool {
        true
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        if told.is_empty() {
            let examples = 0..step.examples;
            let candidates = examples.flat_map(|example| self.candidates(step, example));
            return Ok(Action::Evaluate(candidates.collect()));
        }
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let examples = step.examples as f64;
        let (mut terms, mut slopes) = (Vec::with_capacity(told.len()), 0.0);
        for own in told.chunks(self.pool) {
            for (candidate, weight) in own.iter().zip(self.weights(own, step.eps)) {
                let own_terms = candidate.direction.terms().iter();
                terms.extend(own_terms.map(|(seed, c)| (*seed, c * weight / examples)));
                slopes += weight.abs();
            }
        }
        let slope = slopes / (examples * self.drawn() as f64);
        Ok(Action::update_or_skip(Update::new(terms.into(), slope)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_direction::Seed;

    const EPS: f64 = 0.5;

    /// What is asked of so many examples, and the update after the losses that `loss` gives for (example, candidate).
    fn asked_and_made(
        pool: usize,
        examples: usize,
        loss: impl Fn(usize, usize) -> f64,
    ) -> (Vec<Direction>, Update) {
        let mut strategy = PerExample::new(pool).expect("a pool");
        let step = StepContext::new(0, Seed::new(5), EPS).with_examples(examples);
        let Ok(Action::Evaluate(asked)) = strategy.next(&step, &[]) else {
            panic!("it asks first");
        };
        let told = asked.iter().enumerate();
        let told = told.map(|(i, z)| Told::new(z.clone(), loss(i / pool, i % pool)));
        match strategy.next(&step, &told.collect::<Vec<_>>()) {
            Ok(Action::Update(update)) => (asked, update),
            other => panic!("{other:?}"),
        }
    }

    /// Two opposite candidates are the two-sided estimate of each example, and the mean of these is the update.
    #[test]
    fn two_opposite_candidates_are_the_two_sided_estimate() {
        let losses = [[3.0, 1.0], [10.0, 10.5], [-1.0, -1.0]];
        let (asked, update) = asked_and_made(2, 3, |example, side| losses[example][side]);
        assert_eq!(asked.len(), 6);
        let mut expected = Direction::zero();
        for (sides, [plus, minus]) in asked.chunks(2).zip(losses) {
            assert_eq!(sides[1], -&sides[0]);
            expected.add_scaled(&sides[0], (plus - minus) / (2.0 * EPS) / 3.0);
        }
        // halves and quarters; thirds round alike, but for the order of the factors
        let difference = update.direction.clone() - &expected;
        assert!(difference.norm_squared() < 1e-30, "{update:?}");
        assert_eq!(update.direction.len(), 2);
        // |2|, |-0.5| and 0 over 2 eps = 1
        assert!((update.projected_gradient - 2.5 / 3.0).abs() < 1e-15);
    }

    /// An example's own mean is its baseline: how much harder it is than another leaves no trace.
    #[test]
    fn a_pool_is_a_regression_within_each_example() {
        let losses = [[1.0, 2.0, 6.0], [101.0, 100.0, 99.0]];
        let (asked, update) = asked_and_made(3, 2, |example, which| losses[example][which]);
        let weights = asked
            .iter()
            .map(|z| update.direction.coefficient(z.terms()[0].0));
        // (l - mean) / (0.5 * 2) / 2
        assert_eq!(
            weights.collect::<Vec<_>>(),
            [-1.0, -0.5, 1.5, 0.5, 0.0, -0.5]
        );
        let mut seeds: Vec<Seed> = asked.iter().map(|z| z.terms()[0].0).collect();
        seeds.sort();
        seeds.dedup();
        assert_eq!(seeds.len(), 6, "every example has noise of its own");
    }

    /// Where all examples have one linear loss, the mean over many steps is its gradient, whatever N is. Each estimate has
    /// a relative error of about sqrt(d / (B N)) per coordinate; 4 standard errors of the mean are allowed.
    #[test]
    fn the_mean_is_the_gradient() {
        for (pool, examples) in [(2, 3), (3, 2), (4, 4), (5, 1)] {
            let mut strategy = PerExample::new(pool).expect("a pool");
            let (d, steps) = (3, 20_000);
            let gradients: Vec<Vec<f64>> = (0..examples)
                .map(|e| (0..d).map(|i| (i as f64 - 1.0) + 0.5 * e as f64).collect())
                .collect();
            // independent signs, from a generator that is good enough for a test: the bits of the seed
            let noise = |direction: &Direction| -> Vec<f64> {
                let (seed, c) = direction.terms()[0];
                let sign = |i| f64::from((seed.child(i).value() >> 40 & 1) as u8) * 2.0 - 1.0;
                (0..d as u64).map(|i| c * sign(i)).collect()
            };
            let (mut sum, mut squares) = (vec![0.0; d], vec![0.0; d]);
            for step in 0..steps {
                let seed = Seed::new(7).child(step);
                let context = StepContext::new(step, seed, EPS).with_examples(examples);
                let mut place = 0;
                let outcome = crate::run_step(&mut strategy, &context, |direction| {
                    let gradient = &gradients[place / pool];
                    place += 1;
                    let along = noise(direction).into_iter().zip(gradient);
                    3.0 + EPS * along.map(|(z, g)| z * g).sum::<f64>()
                });
                let update = outcome.expect("a step").update.expect("finite");
                let mut estimate = vec![0.0; d];
                for (seed, c) in update.direction.terms() {
                    let z = noise(&(Direction::unit(*seed) * *c));
                    estimate.iter_mut().zip(z).for_each(|(sum, z)| *sum += z);
                }
                for i in 0..d {
                    sum[i] += estimate[i];
                    squares[i] += estimate[i] * estimate[i];
                }
            }
            let n = steps as f64;
            for i in 0..d {
                let expected = gradients.iter().map(|g| g[i]).sum::<f64>() / gradients.len() as f64;
                let mean = sum[i] / n;
                let error = ((squares[i] / n - mean * mean) / n).sqrt();
                assert!(
                    (mean - expected).abs() < 4.0 * error,
                    "{pool} {examples}: {mean}"
                );
            }
        }
    }

    #[test]
    fn an_example_needs_two_candidates() {
        for pool in [0, 1, 200_000] {
            let refused = PerExample::new(pool).expect_err("refused").to_string();
            assert!(
                refused.starts_with(&format!("`pool = {pool}`")),
                "{refused}"
            );
        }
    }
}
