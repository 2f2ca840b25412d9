//! A learning rate from how much the losses of single examples differ along the noise that steps are made of.

use crate::measure::measure;
use crate::{
    Batches, Examples, LanguageModel, Limit, Objective, Schedule, Scored, Spent, TrainConfig,
    TrainError,
};
use burn::module::Module;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use zograd_perturb::{Direction, NoiseBackend, Perturbed, Seed};
use zograd_select::{StepContext, Strategy, try_run_step};
use zograd_tasks::Prompt;

/// Batches on which it is measured.
const BATCHES: u64 = 4;

/// Most directions.
const MOST: u64 = 16;

/// Child of the run's seed that the directions are drawn from.
const NOISE: u64 = 6;

/// How far from the weights the losses are found, in units of `eps`.
const FAR: f64 = 3.0;

/// Steps on made-up slopes from which the length of a method's estimates is known.
const REHEARSALS: u64 = 16;

/// The part that is taken of the step which would end at the lowest point along one estimate, if the rate does not fall to 0.
/// Most of what a batch and a direction say is chance, so that the best rate for many steps is far below the best one for a
/// single step; how far was measured (docs/src/rate.md).
const PART: f64 = 0.05;

/// The largest part, of short runs.
const MOST_PART: f64 = 0.1;

/// A learning rate, and what it was made of.
///
/// Let z be a direction of the noise and `eps` the perturbation scale. The second derivative `z'Hz` of the loss along z is found
/// from the scores at `theta + 3 eps z` and `theta - 3 eps z` ([`Objective::curvature`]): unlike a second difference of losses
/// it is never negative, and hardly rounded. A step `-lr u` along an estimate u ends at the lowest point along it for
///
/// ```text
/// lr = reach / z'Hz        reach = (slope along u) / |u|^2        |u|: in units of the noise
/// ```
///
/// `reach` is 1 for MeZO, n for n-SPSA, M - 1 for a regression over a pool of M: it makes rates of methods comparable whose
/// estimates are of different lengths. It is found without a model, by some steps of the method on slopes that are drawn from
/// those that were measured, and is half of the forward passes of a step at most.
///
/// The learning rate is a part of that. Over N steps in which it falls to 0 it is `sqrt(1 / N)`, a tenth at most: the best rate of
/// stochastic gradient descent falls with the square root of the number of steps (Nemirovski, Juditsky, Lan and Shapiro 2009,
/// section 2.2). Where it is constant it is a twentieth. No step goes farther than MeZO's own steps would with as many forward
/// passes, each at its part of a run that has as many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MeasuredRate {
    /// The learning rate.
    pub lr: f64,
    /// Mean of `z'Hz` over the directions.
    pub curvature: f64,
    /// Standard error of this mean.
    pub curvature_error: f64,
    /// What belongs to a curvature of 1: see above.
    pub reach: f64,
    /// Forward passes that it took.
    pub forwards: u64,
    /// Tokens that went through the layers for it.
    pub tokens: u64,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measuring {
    /// Most directions; each takes two forward passes.
    pub directions: u64,
    /// Of this limit a tenth is spent, but for the first four directions; of none, whatever it takes.
    pub within: Option<Limit>,
}

impl Measuring {
    /// What measuring may take of the budget of a run.
    pub const SHARE: f64 = 0.1;

    /// Along so many directions, whatever it takes.
    pub fn along(directions: u64) -> Self {
        Self {
            directions,
            within: None,
        }
    }

    /// The same, in its [share](Self::SHARE) of this limit, where that allows four directions.
    #[must_use]
    pub fn within(self, limit: Option<Limit>) -> Self {
        Self {
            within: limit,
            ..self
        }
    }

    /// Whether one direction more fits in, after so many that have spent this.
    fn goes_on(&self, done: u64, spent: Spent) -> bool {
        let next = (done + 1) as f64 / done.max(1) as f64;
        let with = Spent {
            tokens: (spent.tokens as f64 * next / Self::SHARE) as u64,
            seconds: spent.seconds * next / Self::SHARE,
        };
        let fits = self.within.is_none_or(|limit| !limit.is_reached(with));
        done < self.directions && (done < BATCHES || fits)
    }
}

impl MeasuredRate {
    /// How many directions, from 4 to 16, a budget of so many forward passes has room for: each takes two.
    pub fn directions(budget: u64) -> u64 {
        (budget / 2).clamp(BATCHES, MOST)
    }

    /// Measures it at these weights, on the first batches of the run with this config. The model is at the end where it was, to
    /// rounding. `None` if it was asked to stop.
    ///
    /// # Errors
    /// Prompts that cannot be scored; an error of the strategy; [`TrainError::NoCurvature`] and
    /// [`TrainError::NoReach`].
    pub fn of<B, M>(
        model: &mut Perturbed<B, M>,
        strategy: &mut dyn Strategy,
        (objective, examples): (&dyn Objective, Examples<'_>),
        config: &TrainConfig,
        measuring: Measuring,
        stop: &AtomicBool,
    ) -> Result<Option<Self>, TrainError>
    where
        B: NoiseBackend,
        M: Module<B> + LanguageModel,
    {
        examples.check()?;
        let mut batches = crate::train::batches_of(config, examples);
        let mut found = Found::default();
        let far = FAR * model.eps();
        model.begin(0)?;
        let (begun, mut done) = (Instant::now(), 0);
        while measuring.goes_on(
            done,
            Spent {
                tokens: found.tokens,
                seconds: begun.elapsed().as_secs_f64(),
            },
        ) {
            let place = done;
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let batch = batch(&mut batches, examples.train, place % BATCHES);
            let z = Direction::unit(Seed::new(config.seed).child(NOISE).child(place));
            model.move_to(&(&z * FAR))?;
            let plus = measure(model.module(), &batch, objective, None)?;
            model.move_to(&(&z * -FAR))?;
            let minus = measure(model.module(), &batch, objective, None)?;
            found.take(objective, (&plus.examples, &minus.examples), far);
            found.tokens += (plus.tokens + minus.tokens) as u64;
            done += 1;
        }
        model.move_to(&Direction::zero())?;
        let reach = reach(strategy, &found.slopes, config.seed, model.eps())?;
        let reach = reach.min(strategy.forwards() as f64 / 2.0);
        let (curvature, curvature_error) = mean_and_error(&found.curvatures);
        let lr = length(config, strategy.forwards(), reach) / curvature;
        if !(reach > 0.0 && reach.is_finite()) {
            return Err(TrainError::NoReach(reach));
        }
        if !(lr > 0.0 && lr.is_finite()) {
            return Err(TrainError::NoCurvature(curvature));
        }
        Ok(Some(Self {
            lr,
            curvature,
            curvature_error,
            reach,
            forwards: 2 * done,
            tokens: found.tokens,
        }))
    }
}

/// What of its reach a method is given whose steps take so many forward passes.
fn length(config: &TrainConfig, forwards: usize, reach: f64) -> f64 {
    let part = |steps: f64| match config.schedule {
        Schedule::Constant => PART,
        Schedule::Linear | Schedule::Cosine => steps.max(1.0).recip().sqrt().min(MOST_PART),
    };
    let (steps, of_mezo) = (config.steps as f64, forwards as f64 / 2.0);
    let all = part(steps) * reach;
    // as many steps of MeZO as there are forward passes for, each at its own part
    all.min(part(steps * of_mezo) * of_mezo)
}

fn batch<'p>(batches: &mut Batches, train: &'p [Prompt], step: u64) -> Vec<&'p Prompt> {
    let places = batches.at(step).into_iter();
    places.map(|place| &train[place]).collect()
}

/// What was found along the directions.
#[derive(Default)]
struct Found {
    curvatures: Vec<f64>,
    /// Slopes of the loss of the batch.
    slopes: Vec<f64>,
    tokens: u64,
}

impl Found {
    fn take(
        &mut self,
        objective: &dyn Objective,
        (plus, minus): (&[Scored<'_>], &[Scored<'_>]),
        far: f64,
    ) {
        let biases = objective.biases(&[plus, minus]);
        let loss = |one: &[Scored<'_>]| match &biases {
            None => objective.loss(one),
            Some(biases) => objective.loss_with(one, biases),
        };
        let terms = objective.terms(plus) as f64;
        let way = 2.0 * far;
        self.curvatures
            .push(objective.curvature(plus, minus) / (terms * way * way));
        self.slopes.push((loss(plus) - loss(minus)) / way);
    }
}

/// Slope along the estimates of a method over their squared length, where the slopes along its directions are some of these.
fn reach(
    strategy: &mut dyn Strategy,
    slopes: &[f64],
    seed: u64,
    eps: f64,
) -> Result<f64, TrainError> {
    let mut found = Vec::new();
    for step in 0..REHEARSALS {
        let context = StepContext::new(step, Seed::new(seed).child(NOISE).child(step), eps);
        let mut seeds = Vec::new();
        let mut along = |direction: &Direction| -> f64 {
            let slope = |(seed, times): &(Seed, f64)| {
                let known = seeds.iter().position(|known| known == seed);
                let place = known.unwrap_or(seeds.len());
                if known.is_none() {
                    seeds.push(*seed);
                }
                times * slopes[(step as usize + place) % slopes.len()]
            };
            direction.terms().iter().map(slope).sum()
        };
        let outcome = try_run_step(strategy, &context, |direction| {
            Ok::<_, TrainError>(1.0 + eps * along(direction))
        })?;
        if let Some(update) = outcome.update {
            found.push(along(&update.direction) / update.direction.norm_squared());
        }
    }
    // of a method that remembers its steps, once it has some to remember
    let settled = &found[found.len() / 2..];
    let mut settled: Vec<f64> = settled.iter().copied().filter(|x| x.is_finite()).collect();
    settled.sort_by(f64::total_cmp);
    Ok(settled.get(settled.len() / 2).copied().unwrap_or(f64::NAN))
}

/// The mean, and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::tests::{prompt, scored};
    use crate::{Classification, TeacherForcing};
    use zograd_select::{MethodSpec, Methods};

    #[test]
    fn each_method_has_its_reach() {
        let slopes = [0.5, -1.5, 2.0, 0.25, -0.75, 1.0, -0.1];
        for (method, expected) in [
            (MethodSpec::new("mezo"), 1.0),
            (MethodSpec::new("greedy").with("pool", 3), 1.0),
            (MethodSpec::new("n-spsa").with("queries", 4), 4.0),
            (MethodSpec::new("pool-regression").with("pool", 8), 7.0),
        ] {
            let mut strategy = Methods::built_in().build(&method).expect("known");
            let found = reach(strategy.as_mut(), &slopes, 3, 1e-3).expect("finite");
            // losses near 1 that differ by 1e-3 have slopes of 13 digits
            assert!((found / expected - 1.0).abs() < 1e-9, "{method:?}: {found}");
        }
    }

    /// By hand: slopes of the examples, squared; a mean of n tokens has an n-th of the information of one.
    #[test]
    fn curvatures_are_the_squares_of_single_slopes() {
        let (a, b) = (prompt(2, 0), prompt(2, 1));
        let mut found = Found::default();
        let tokens = |by: f32| {
            let (first, second) = ([-1.0 + by, -2.0], [-1.0 - by]);
            [scored(&a, &[&first]), scored(&b, &[&second])]
        };
        let (plus, minus) = (tokens(0.5), tokens(-0.5));
        found.take(&TeacherForcing, (&plus, &minus), 1.0);
        // means of 2 tokens and of 1: slopes -0.25 and 0.5
        assert!(found.slopes[0].abs() < 1e-15, "{:?}", found.slopes);
        assert!((found.curvatures[0] - (4.0 * 0.0625 + 0.25) / 3.0).abs() < 1e-15);

        let choices = |by: f32| [scored(&a, &[&[by], &[-by]]), scored(&b, &[&[by], &[-by]])];
        let (plus, minus) = (choices(0.01), choices(-0.01));
        found.take(&Classification, (&plus, &minus), 1.0);
        // p (1 - p) (d margin)^2 at even odds: 1/4 of 0.02^2, one example up and one down; f32 scores
        assert!((found.curvatures[1] / 1e-4 - 1.0).abs() < 1e-6);
        assert!(found.slopes[1].abs() < 1e-9);
    }

    #[test]
    fn a_longer_run_has_a_smaller_rate() {
        let of = |steps, (forwards, reach), schedule| {
            let mut config = TrainConfig::new(steps, 0.0);
            config.schedule = schedule;
            length(&config, forwards, reach)
        };
        let (mezo, gv, pool) = ((2, 1.0), (6, 1.0), (8, 7.0));
        for (steps, method, expected) in [
            (1, mezo, 0.1),
            (100, mezo, 0.1),
            (400, mezo, 0.05),
            // by its own steps, as no step of it goes as far as MeZO's three
            (100, gv, 0.1),
            (400, gv, 0.05),
            // as far as MeZO goes in four
            (100, pool, 4.0 * 0.05),
            (2500, pool, 4.0 * 0.01),
            (1, pool, 4.0 * 0.1),
        ] {
            let found = of(steps, method, Schedule::Linear);
            assert!(
                (found / expected - 1.0).abs() < 1e-12,
                "{steps} {method:?}: {found}"
            );
        }
        for (method, expected) in [(mezo, 0.05), (gv, 0.05), (pool, 4.0 * 0.05)] {
            assert_eq!(of(100, method, Schedule::Constant), expected, "{method:?}");
        }
    }

    #[test]
    fn a_tenth_of_tokens_or_seconds_is_spent_but_for_four_directions() {
        let directions = |measuring: Measuring| {
            let spent = |done: u64| Spent {
                tokens: 50 * done,
                seconds: done as f64,
            };
            (0..).find(|done| !measuring.goes_on(*done, spent(*done)))
        };
        let along = Measuring::along(16);
        assert_eq!(directions(along), Some(16));
        for (tokens, expected) in [(1, 4), (2000, 4), (3001, 6), (8001, 16), (99_999, 16)] {
            let within = along.within(Some(Limit::tokens(tokens)));
            assert_eq!(directions(within), Some(expected), "{tokens}");
        }
        let within = along.within(Some(Limit::seconds(70.5)));
        assert_eq!(directions(within), Some(7));
    }

    #[test]
    fn what_it_takes_is_known_before() {
        for (budget, directions) in [(u64::MAX, 16), (32, 16), (31, 15), (9, 4), (0, 4)] {
            assert_eq!(MeasuredRate::directions(budget), directions, "{budget}");
        }
        assert_eq!(mean_and_error(&[1.0, 3.0]), (2.0, 1.0));
    }
}
