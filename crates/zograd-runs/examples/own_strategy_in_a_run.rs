//! A strategy of one's own in a run: chosen by its name, with a setting, and resumed and replayed to the same bits as
//! the built-in ones.
//!
//!     cargo run --release --example own_strategy_in_a_run

use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_runs::{Given, Quiet, Replay, Runs, Watch};
use zograd_select::{
    Action, Configured, Direction, Method, Setting, SkipReason, StepContext, Strategy,
    StrategyError, Told, Update,
};
use zograd_trainer::{StepRecord, StopReason};

/// A central difference along the mean of several directions.
struct Blend {
    directions: u64,
}

impl Strategy for Blend {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        2
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let mut blend = Direction::zero();
        // as long as one direction: the variances of independent ones add up
        let share = (self.directions as f64).sqrt().recip();
        for k in 0..self.directions {
            blend.add_scaled(&Direction::unit(step.seed.child(k)), share);
        }
        let [plus, minus] = told else {
            let mut opposite = Direction::zero();
            opposite.add_scaled(&blend, -1.0);
            return Ok(Action::Evaluate(vec![blend, opposite]));
        };
        let slope = (plus.loss - minus.loss) / (2.0 * step.eps);
        if !slope.is_finite() {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let mut estimate = Direction::zero();
        estimate.add_scaled(&blend, slope);
        Ok(Action::update_or_skip(Update::new(estimate, slope)))
    }
}

/// What a file of settings, or a flag, can say: `directions = 3`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BlendSettings {
    directions: u64,
}

impl Default for BlendSettings {
    fn default() -> Self {
        Self { directions: 2 }
    }
}

impl Configured for Blend {
    const NAME: &'static str = "blend";
    const ABOUT: &'static str = "A central difference along the mean of N directions: 2 forwards";
    const SETTINGS: &'static [Setting] = &[Setting::count("directions", "N", "Directions blended")];
    type Settings = BlendSettings;

    fn configured(BlendSettings { directions }: BlendSettings) -> Result<Self, StrategyError> {
        match directions {
            1..=64 => Ok(Self { directions }),
            n => Err(StrategyError::setting("directions", n, "use 1 to 64")),
        }
    }
}

/// Asks the run to stop after its third step.
struct Impatient(Arc<AtomicBool>);

impl Watch for Impatient {
    fn on_step(&mut self, step: &StepRecord) {
        self.0.store(step.step == 3, Ordering::Relaxed);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let runs = Runs::new().with_method(Method::of::<Blend>());
    let settings = Given::new()
        .with("method", "blend")
        .with("directions", 3)
        .with("steps", 6)
        .with("batch-size", 4)
        .with("train-examples", 32)
        // the last weights are the best ones where there is nothing to choose by
        .with("dev-examples", 0)
        .with("test-examples", 16);
    let trained = |name: &str| settings.clone().with("out", at(name).display().to_string());

    let whole = runs.train(trained("whole"), &mut Quiet)?;
    assert_eq!((whole.steps, whole.forwards), (6, 12));
    let weights = fs::read(at("whole/best/model.safetensors"))?;

    let stop = Arc::new(AtomicBool::new(false));
    let stoppable = runs.clone().stopped_by(stop.clone());
    let part = stoppable.train(trained("run"), &mut Impatient(stop))?;
    assert_eq!((part.stop, part.steps), (StopReason::Interrupted, 3));
    runs.resume(&at("run"), Given::new(), &mut Quiet)?;
    assert!(fs::read(at("run/best/model.safetensors"))? == weights);

    // its name and its setting are in the log
    let replay = Replay::new(at("run/trajectory.zog"), at("rebuilt"));
    let rebuilt = runs.replay(&replay, &mut Quiet)?;
    assert!(fs::read(at("rebuilt/model.safetensors"))? == weights);
    println!(
        "{} steps of blend, three times {}",
        rebuilt.steps, rebuilt.weights
    );

    // a program that does not know the method says so, and so does the method of a wrong setting
    let stranger = Runs::new().check(settings.clone());
    println!("{}", stranger.err().ok_or("blend is not built in")?);
    let wrong = runs.check(settings.with("directions", 0));
    println!("{}", wrong.err().ok_or("0 is too few")?);
    Ok(())
}
