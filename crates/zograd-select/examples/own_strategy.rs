//! A strategy from outside, with a setting and a name, on a small quadratic.

use serde::{Deserialize, Serialize};
use std::error::Error;
use zograd_select::{
    Action, Configured, Direction, Method, MethodSpec, Methods, Seed, Setting, SkipReason,
    StepContext, Strategy, StrategyError, Told, Update, run_step,
};

/// The mean of several one-sided slopes: the loss here, and one along each direction.
struct OneSided {
    directions: usize,
}

impl Strategy for OneSided {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.directions + 1
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let Some((here, there)) = told.split_first() else {
            let z = (0..self.directions as u64).map(|k| Direction::unit(step.seed.child(k)));
            return Ok(Action::Evaluate(
                std::iter::once(Direction::zero()).chain(z).collect(),
            ));
        };
        if told.iter().any(|t| !t.loss.is_finite()) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let (mut estimate, mut slopes) = (Direction::zero(), 0.0);
        for z in there {
            let slope = (z.loss - here.loss) / step.eps;
            estimate.add_scaled(&z.direction, slope / self.directions as f64);
            slopes += slope.abs();
        }
        let slope = slopes / self.directions as f64;
        Ok(Action::update_or_skip(Update::new(estimate, slope)))
    }
}

/// What a config file can set: `directions = 3`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OneSidedSettings {
    directions: usize,
}

impl Default for OneSidedSettings {
    fn default() -> Self {
        Self { directions: 3 }
    }
}

impl Configured for OneSided {
    const NAME: &'static str = "one-sided";
    const ABOUT: &'static str = "The mean of N one-sided slopes: N + 1 forwards";
    const SETTINGS: &'static [Setting] =
        &[Setting::count("directions", "N", "Directions N of a step")];
    type Settings = OneSidedSettings;

    fn configured(settings: OneSidedSettings) -> Result<Self, StrategyError> {
        let directions = settings.directions;
        if directions == 0 {
            return Err(StrategyError::setting("directions", 0, "use at least 1"));
        }
        Ok(Self { directions })
    }
}

const WEIGHTS: usize = 4;

/// Coin tosses as noise: the combination that `direction` is of them.
fn noise(direction: &Direction) -> [f64; WEIGHTS] {
    let mut sum = [0.0; WEIGHTS];
    for (seed, c) in direction.terms() {
        for (i, x) in sum.iter_mut().enumerate() {
            let heads = seed.child(i as u64).value() % 2 == 0;
            *x += if heads { *c } else { -c };
        }
    }
    sum
}

fn main() -> Result<(), Box<dyn Error>> {
    // known by its name, beside the built-in methods
    let methods = Methods::built_in().with(Method::of::<OneSided>());
    let chosen = methods.complete(&MethodSpec::new("one-sided").with("directions", 2))?;
    println!("in a log: {}", serde_json::to_string(&chosen)?);
    let mut strategy = methods.build(&chosen)?;

    let (mut theta, lr, eps) = ([3.0, -2.0, 1.0, 0.5], 0.1, 1e-3);
    let loss = |theta: &[f64; WEIGHTS], z: [f64; WEIGHTS]| -> f64 {
        let moved = theta.iter().zip(z).map(|(x, z)| x + eps * z);
        moved.map(|x| 0.5 * x * x).sum()
    };
    let start = loss(&theta, [0.0; WEIGHTS]);
    for step in 0..100 {
        let context = StepContext::new(step, Seed::new(7).child(step), eps);
        let outcome = run_step(strategy.as_mut(), &context, |d| loss(&theta, noise(d)))?;
        assert_eq!(outcome.evaluations.len(), strategy.forwards());
        if let Some(update) = outcome.update {
            let d = noise(&update.direction);
            theta.iter_mut().zip(d).for_each(|(x, d)| *x -= lr * d);
        }
    }
    let end = loss(&theta, [0.0; WEIGHTS]);
    println!("loss {start} before, {end} after");
    assert!(end < 0.01 * start);
    Ok(())
}
