//! Series of numbers of a run against what they cost.

use crate::folder::RunRecord;

/// What a curve is drawn against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Steps.
    Steps,
    /// Forward passes of training.
    Forwards,
    /// Seconds of training.
    Seconds,
}

impl Axis {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Steps, Self::Forwards, Self::Seconds];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Forwards => "forwards",
            Self::Seconds => "seconds",
        }
    }

    /// What to write along it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Forwards => "forward passes",
            Self::Seconds => "seconds",
        }
    }
}

/// Points (x, y) in the order of x, all finite.
pub type Curve = Vec<(f64, f64)>;

impl RunRecord {
    /// The training loss of every step that has a finite one.
    pub fn losses(&self, axis: Axis) -> Curve {
        let steps = self.steps.iter().filter(|step| step.loss.is_finite());
        steps
            .map(|step| {
                let x = match axis {
                    Axis::Steps => step.step as f64,
                    Axis::Forwards => step.forwards as f64,
                    Axis::Seconds => step.seconds,
                };
                (x, step.loss)
            })
            .collect()
    }

    /// The score on the development examples of every evaluation.
    pub fn scores(&self, axis: Axis) -> Curve {
        let point = |eval: &zograd_trainer::EvalRecord| {
            let x = match axis {
                Axis::Steps => eval.step as f64,
                Axis::Forwards => eval.forwards as f64,
                Axis::Seconds => eval.seconds,
            };
            Some((x, eval.dev_score.value()?))
        };
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
