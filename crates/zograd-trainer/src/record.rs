use crate::Event;
use crate::non_finite::{number, numbers};
use serde::{Deserialize, Serialize};
use zograd_perturb::Direction;
use zograd_select::SkipReason;
use zograd_tasks::metrics::Metric;

/// One line of `metrics.jsonl` for one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepRecord {
    /// Steps done, this one included.
    pub step: u64,
    /// Mean of the losses this step evaluated; NaN, `null` in JSON, if one of them is not finite.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// All of them, in the order the method asked for them. (Which loss is that of which probe the book says with the
    /// method.)
    #[serde(deserialize_with = "numbers")]
    pub losses: Vec<f64>,
    /// The projected gradient as it was measured, or with a gradient method the length of the gradient; 0 if none
    /// was.
    pub projected_gradient: f64,
    /// Length of the change of the weights, `lr * sqrt(d * sum_k c_k^2)` for d moving weights: what it is
    /// in expectation, and within 1/sqrt(d) of what it is; of a step along the tail what it is. Weight decay not counted.
    /// `None` with backpropagation.
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

impl StepRecord {
    /// Step `step` (from 1) with these losses, in the order they were asked for; every other number is that of a run
    /// that did nothing before and a step that changed nothing.
    pub fn new(step: u64, losses: Vec<f64>) -> Self {
        Self {
            step,
            loss: losses.iter().sum::<f64>() / losses.len() as f64,
            losses,
            projected_gradient: 0.0,
            update_norm: None,
            lr: 0.0,
            forwards: 0,
            tokens: 0,
            seconds: 0.0,
            passes: 0,
            peak_memory_bytes: None,
            skipped: None,
            event: None,
            weight_decay: 0.0,
            update: Direction::zero(),
        }
    }
}

/// One line of `metrics.jsonl` for one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvalRecord {
    /// Steps done before it.
    pub step: u64,
    /// Forward passes of training before it.
    pub forwards: u64,
    /// The task's metric on the development examples; without a value where it was not asked for
    /// ([`BestBy::Loss`](crate::BestBy::Loss) needs no written answers).
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
    /// What was added to the scores of the options, by their places: fitted on training examples, where the losses of steps
    /// are made with such biases ([`Calibrated`](crate::Calibrated)). Empty elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub option_biases: Vec<f64>,
    /// Whether this is the best so far, that of the untuned model at step 0 included
    /// ([`TrainConfig::best_by`](crate::TrainConfig::best_by)). Never with a loss that is not finite.
    pub best: bool,
    /// Seconds of training before it, evaluation not counted: as in the record of the step.
    pub seconds: f64,
    /// Seconds the evaluation took.
    pub eval_seconds: f64,
}

impl EvalRecord {
    /// An evaluation after so many steps and forward passes, which is not the best, took no time and measured no
    /// drift.
    pub fn new(step: u64, forwards: u64, dev_score: DevScore, dev_loss: f64) -> Self {
        Self {
            step,
            forwards,
            dev_score,
            dev_loss,
            drift: None,
            option_biases: Vec::new(),
            best: false,
            seconds: 0.0,
            eval_seconds: 0.0,
        }
    }
}

/// A score on the development examples, which records call after its metric: `dev_accuracy`, `dev_f1`,
/// `dev_exact_match` or `dev_reward`. Without a value where it was not measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevScore {
    /// Share of right choices.
    DevAccuracy(Option<f64>),
    /// Mean word overlap of the written answers.
    DevF1(Option<f64>),
    /// Share of right written answers.
    DevExactMatch(Option<f64>),
    /// Mean reward of the written answers.
    DevReward(Option<f64>),
}

impl DevScore {
    /// A score by this metric.
    pub fn new(metric: Metric, value: impl Into<Option<f64>>) -> Self {
        let value = value.into();
        match metric {
            Metric::Accuracy => Self::DevAccuracy(value),
            Metric::F1 => Self::DevF1(value),
            Metric::ExactMatch => Self::DevExactMatch(value),
            Metric::Reward => Self::DevReward(value),
        }
    }

    /// The metric.
    pub fn metric(self) -> Metric {
        match self {
            Self::DevAccuracy(_) => Metric::Accuracy,
            Self::DevF1(_) => Metric::F1,
            Self::DevExactMatch(_) => Metric::ExactMatch,
            Self::DevReward(_) => Metric::Reward,
        }
    }

    /// The score, from 0 to 1 unless it is a reward, if it was measured.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::DevAccuracy(value)
            | Self::DevF1(value)
            | Self::DevExactMatch(value)
            | Self::DevReward(value) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_failed_step_reads_back() {
        let mut record = StepRecord::new(3, vec![1.5, f64::INFINITY]);
        record.loss = f64::NAN;
        record.update_norm = Some(0.5);
        record.peak_memory_bytes = Some(7);
        record.skipped = Some(SkipReason::NonFiniteLoss);
        record.event = Some(Event::NonFiniteLoss);
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
            (Metric::Reward, "dev_reward"),
        ] {
            for score in [Some(0.25), None] {
                let record = EvalRecord::new(1, 2, DevScore::new(metric, score), f64::NAN);
                let value = serde_json::to_value(&record).expect("JSON");
                assert_eq!(value.get(name), Some(&score.into()));
                let back: EvalRecord = serde_json::from_value(value).expect("the same layout");
                assert_eq!(
                    (back.dev_score, back.dev_loss.is_nan()),
                    (record.dev_score, true)
                );
            }
        }
    }
}
