use crate::non_finite::{number, numbers};
use crate::{Event, TrainError};
use serde::{Deserialize, Serialize};
use zograd_perturb::Direction;
use zograd_select::SkipReason;
use zograd_tasks::metrics::Metric;

/// One line of `metrics.jsonl` for one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Steps done, this one included.
    pub step: u64,
    /// Mean of the losses this step evaluated; NaN, `null` in JSON, if one of them is not finite.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// All of them, in the order they were asked for.
    #[serde(deserialize_with = "numbers")]
    pub losses: Vec<f64>,
    /// The projected gradient as it was measured, or with a gradient method the length of the gradient; 0 if none
    /// was.
    pub projected_gradient: f64,
    /// Length of the change of the weights, `lr * sqrt(d * sum_k c_k^2)` for d moving weights: what it is
    /// in expectation, and within 1/sqrt(d) of what it is. Weight decay not counted. `None` with a gradient method.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub update_norm: Option<f64>,
    /// The learning rate of this step.
    pub lr: f64,
    /// Forward passes of the whole run so far, evaluation not counted; a backward pass counts as two.
    pub forwards: u64,
    /// Tokens that went through the layers in them.
    pub tokens: u64,
    /// Seconds of training so far, evaluation not counted.
    pub seconds: f64,
    /// Passes over the weights so far.
    pub passes: u64,
    /// Peak resident memory so far, in bytes, where the system says.
    pub peak_memory_bytes: Option<u64>,
    /// Why the update was skipped, if it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skipped: Option<SkipReason>,
    /// What was not as it should be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event: Option<Event>,
    /// Weight decay lambda of this step.
    #[serde(skip)]
    pub weight_decay: f64,
    /// What was subtracted from the weights, before the factor of the learning rate; zero if skipped.
    #[serde(skip)]
    pub update: Direction,
}

/// One line of `metrics.jsonl` for one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    /// Steps done before it.
    pub step: u64,
    /// Forward passes of training before it.
    pub forwards: u64,
    /// The task's metric on the development examples.
    #[serde(flatten)]
    pub dev_score: DevScore,
    /// The loss on them, as [`Evaluation::loss`](crate::Evaluation::loss).
    #[serde(deserialize_with = "number")]
    pub dev_loss: f64,
    /// How far rounding has put the weights from where exact arithmetic would have, in the last step before it: the
    /// largest distance among the first 1,024 weights of every tensor. 0 for exact steps. With an anchor: since the
    /// last time the weights were brought back to it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drift: Option<f64>,
    /// Whether this is the best so far: higher score, or equal score and lower loss. Never with a
    /// loss that is not finite.
    pub best: bool,
    /// Seconds the evaluation took.
    pub seconds: f64,
}

/// A score on the development examples, which records call after its metric: `dev_accuracy`, `dev_f1` or
/// `dev_exact_match`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevScore {
    /// Share of right choices.
    DevAccuracy(f64),
    /// Mean word overlap of the written answers.
    DevF1(f64),
    /// Share of right written answers.
    DevExactMatch(f64),
}

impl DevScore {
    /// A score by this metric.
    pub fn new(metric: Metric, value: f64) -> Self {
        match metric {
            Metric::Accuracy => Self::DevAccuracy(value),
            Metric::F1 => Self::DevF1(value),
            Metric::ExactMatch => Self::DevExactMatch(value),
        }
    }

    /// The metric.
    pub fn metric(self) -> Metric {
        match self {
            Self::DevAccuracy(_) => Metric::Accuracy,
            Self::DevF1(_) => Metric::F1,
            Self::DevExactMatch(_) => Metric::ExactMatch,
        }
    }

    /// The score, from 0 to 1.
    pub fn value(self) -> f64 {
        match self {
            Self::DevAccuracy(value) | Self::DevF1(value) | Self::DevExactMatch(value) => value,
        }
    }
}

/// What a training run reports, while it runs.
pub trait Observer<M> {
    /// After every step.
    ///
    /// # Errors
    /// An error ends the run.
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError>;

    /// After every evaluation; `model` stands at the evaluated weights, to be saved if `record.best`.
    ///
    /// # Errors
    /// An error ends the run.
    fn on_eval(&mut self, record: &EvalRecord, model: &M) -> Result<(), TrainError>;
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl<M> Observer<M> for Silent {
    fn on_step(&mut self, _record: &StepRecord) -> Result<(), TrainError> {
        Ok(())
    }

    fn on_eval(&mut self, _record: &EvalRecord, _model: &M) -> Result<(), TrainError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_failed_step_reads_back() {
        let record = StepRecord {
            step: 3,
            loss: f64::NAN,
            losses: vec![1.5, f64::INFINITY],
            projected_gradient: 0.0,
            update_norm: Some(0.5),
            lr: 1e-6,
            forwards: 6,
            tokens: 100,
            seconds: 0.5,
            passes: 7,
            weight_decay: 0.0,
            update: Direction::zero(),
            peak_memory_bytes: None,
            skipped: Some(SkipReason::NonFiniteLoss),
            event: Some(Event::NonFiniteLoss),
        };
        let text = serde_json::to_string(&record).expect("JSON");
        let back: StepRecord = serde_json::from_str(&text).expect("the same layout");
        assert!(back.loss.is_nan() && back.losses[1].is_nan());
        assert_eq!((back.losses[0], back.skipped), (1.5, record.skipped));
    }

    #[test]
    fn a_score_is_called_after_its_metric() {
        for (metric, name) in [
            (Metric::Accuracy, "dev_accuracy"),
            (Metric::F1, "dev_f1"),
            (Metric::ExactMatch, "dev_exact_match"),
        ] {
            let record = EvalRecord {
                step: 1,
                forwards: 2,
                dev_score: DevScore::new(metric, 0.25),
                dev_loss: f64::NAN,
                drift: None,
                best: false,
                seconds: 0.5,
            };
            let value = serde_json::to_value(&record).expect("JSON");
            assert_eq!(value[name], 0.25);
            let back: EvalRecord = serde_json::from_value(value).expect("the same layout");
            assert_eq!(
                (back.dev_score, back.dev_loss.is_nan()),
                (record.dev_score, true)
            );
        }
    }
}
