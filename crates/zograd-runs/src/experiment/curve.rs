//! Series of numbers of a run against what they cost.

use crate::folder::RunRecord;
use serde::{Deserialize, Serialize};
use zograd_trainer::{EvalRecord, StepRecord};

/// What a curve is drawn against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Steps.
    Steps,
    /// Forward passes of training.
    Forwards,
    /// Examples that go through the model in them.
    Examples,
    /// Tokens that go through the layers in them.
    Tokens,
    /// Seconds of training.
    Seconds,
}

impl Axis {
    /// Those that every report draws.
    pub const USUAL: [Self; 3] = [Self::Steps, Self::Forwards, Self::Seconds];

    /// What a budget may be in, by which methods are compared.
    pub const BUDGETS: [Self; 4] = [Self::Forwards, Self::Examples, Self::Tokens, Self::Seconds];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Forwards => "forwards",
            Self::Examples => "examples",
            Self::Tokens => "tokens",
            Self::Seconds => "seconds",
        }
    }

    /// What to write along it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Forwards => "forward passes",
            Self::Examples => "examples",
            Self::Tokens => "tokens",
            Self::Seconds => "seconds",
        }
    }
}

/// Points (x, y) in the order of x, all finite.
pub type Curve = Vec<(f64, f64)>;

impl RunRecord {
    /// How far along the axis the run is after this step.
    pub fn place_of_step(&self, axis: Axis, step: &StepRecord) -> f64 {
        match axis {
            Axis::Steps => step.step as f64,
            Axis::Forwards => step.forwards as f64,
            Axis::Examples => self.examples(step.forwards),
            Axis::Tokens => step.tokens as f64,
            Axis::Seconds => step.seconds,
        }
    }

    /// How far along the axis the run is at this evaluation.
    pub fn place_of_eval(&self, axis: Axis, eval: &EvalRecord) -> f64 {
        match axis {
            Axis::Steps => eval.step as f64,
            Axis::Forwards => eval.forwards as f64,
            Axis::Examples => self.examples(eval.forwards),
            Axis::Seconds => eval.seconds,
            Axis::Tokens => {
                let at = self.steps.partition_point(|step| step.step < eval.step);
                let step = self.steps.get(at).filter(|step| step.step == eval.step);
                step.map_or(0.0, |step| step.tokens as f64)
            }
        }
    }

    /// How far along the axis it came.
    pub fn place(&self, axis: Axis) -> f64 {
        let last = self.steps.last();
        last.map_or(0.0, |step| self.place_of_step(axis, step))
    }

    /// The examples that go through the model in so many forward passes.
    fn examples(&self, forwards: u64) -> f64 {
        let batch = self.settings.get("batch-size");
        let batch = batch.and_then(toml::Value::as_integer).unwrap_or(1);
        forwards as f64 * batch as f64
    }

    /// The training loss of every step that has a finite one.
    pub fn losses(&self, axis: Axis) -> Curve {
        let steps = self.steps.iter().filter(|step| step.loss.is_finite());
        steps
            .map(|step| (self.place_of_step(axis, step), step.loss))
            .collect()
    }

    /// The score on the development examples of every evaluation.
    pub fn scores(&self, axis: Axis) -> Curve {
        let point =
            |eval: &EvalRecord| Some((self.place_of_eval(axis, eval), eval.dev_score.value()?));
        self.evals.iter().filter_map(point).collect()
    }
}

/// Exponential mean with a memory of about 2% of the curve.
pub fn smooth(points: &[(f64, f64)]) -> Curve {
    let keep = 1.0 - 1.0 / (0.02 * points.len() as f64).max(1.0);
    let mut mean = points.first().map_or(0.0, |p| p.1);
    points
        .iter()
        .map(|&(x, y)| {
            mean = keep * mean + (1.0 - keep) * y;
            (x, mean)
        })
        .collect()
}
