//! Small runs of the built-in model.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_runs::{Given, Runs, Watch};
use zograd_trainer::{EvalRecord, StepRecord};

/// Four steps in a moment, evaluated before the first, after the second and after the last.
pub fn tiny() -> Given {
    Given::new()
        .with("steps", 4)
        .with("eval-every", 2)
        .with("lr", 1e-4)
        .with("batch-size", 2)
        .with("train-examples", 8)
        .with("dev-examples", 4)
        .with("test-examples", 4)
}

/// As settings have it.
pub fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Settings in TOML.
pub fn given(text: &str) -> Given {
    Given::parse(text, &Runs::new().keys()).expect(text)
}

/// Why these settings are refused.
pub fn refusal(given: &Given) -> String {
    match Runs::new().check(given.clone()) {
        Ok(_) => panic!("not refused:\n{given}"),
        Err(error) => error.to_string(),
    }
}

/// Asks the run to stop after a step.
pub struct StopAfter {
    step: u64,
    /// After the evaluation of the step, if it has one.
    evaluated: bool,
    flag: Arc<AtomicBool>,
}

impl StopAfter {
    pub fn new(step: u64) -> Self {
        let flag = Arc::default();
        Self {
            step,
            evaluated: false,
            flag,
        }
    }

    pub fn evaluation(step: u64) -> Self {
        Self {
            evaluated: true,
            ..Self::new(step)
        }
    }

    /// The same runs, stopped by this.
    pub fn stopping(&self, runs: &Runs) -> Runs {
        runs.clone().stopped_by(self.flag.clone())
    }
}

impl Watch for StopAfter {
    fn on_step(&mut self, step: &StepRecord) {
        let now = !self.evaluated && step.step == self.step;
        self.flag.fetch_or(now, Ordering::Relaxed);
    }

    fn on_eval(&mut self, eval: &EvalRecord) {
        let now = self.evaluated && eval.step == self.step;
        self.flag.fetch_or(now, Ordering::Relaxed);
    }
}
