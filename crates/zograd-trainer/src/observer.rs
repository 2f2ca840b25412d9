use crate::non_finite::{number, numbers};
use crate::{Event, TrainError};
use serde::{Deserialize, Serialize};
use zograd_perturb::Direction;
use zograd_select::SkipReason;

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
    /// The projected gradient as it was measured; 0 if none was.
    pub projected_gradient: f64,
    /// Length of the change of the weights, `lr * sqrt(d * sum_k c_k^2)` for d moving weights: what it is
    /// in expectation, and within 1/sqrt(d) of what it is. Weight decay not counted.
    pub update_norm: f64,
    /// The learning rate of this step.
    pub lr: f64,
    /// Forward passes of the whole run so far, evaluation not counted.
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
    /// Accuracy on the development examples.
    pub dev_accuracy: f64,
    /// Cross-entropy over the candidates on them.
    #[serde(deserialize_with = "number")]
    pub dev_loss: f64,
    /// How far rounding has put the weights from where exact arithmetic would have, in the last step before it: the
    /// largest distance among the first 1,024 weights of every tensor. 0 for exact steps. With an anchor: since the
    /// last time the weights were brought back to it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub drift: Option<f64>,
    /// Whether this is the best so far: higher accuracy, or equal accuracy and lower loss. Never with a
    /// loss that is not finite.
    pub best: bool,
    /// Seconds the evaluation took.
    pub seconds: f64,
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
            update_norm: 0.0,
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
}
