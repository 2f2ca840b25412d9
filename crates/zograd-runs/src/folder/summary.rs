//! What came out of a run.

use crate::settings::Published;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use zograd_tasks::SplitCounts;
use zograd_tasks::metrics::Metric;
use zograd_trainer::{EvalRecord, Evaluation, Event, Gain, MeasuredRate, StopReason};

/// What came out of a run: `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The model in words.
    pub model: String,
    /// The task in words.
    pub task: String,
    /// The method's name.
    pub method: String,
    /// `full`, `lora`, `prefix` or `head`.
    pub tune: String,
    /// Where it was computed.
    pub backend: String,
    /// How the weights were stored.
    pub dtype: String,
    /// How many numbers moved.
    pub parameters: u64,
    /// How many examples there were.
    pub counts: SplitCounts,
    /// What was minimised.
    pub objective: String,
    /// What the scores are.
    pub metric: Metric,
    /// Loss of the start weights on the test examples, in nats an example; NaN, `null` in JSON, if it is not finite.
    #[serde(deserialize_with = "number")]
    pub loss_before: f64,
    /// That of the best weights; NaN, `null` in JSON, too, if the run was interrupted.
    #[serde(deserialize_with = "number")]
    pub loss_after: f64,
    /// The step of the best weights; 0 if none were better than those the run began with.
    pub best_step: Option<u64>,
    /// Content hash of what was tuned, after the last step.
    #[serde(default)]
    pub weights: String,
    /// Content hash of what was tuned, as it lies in `best/`, if the run came to an end.
    #[serde(default)]
    pub best_weights: Option<String>,
    /// What is added to the scores of the options, by their places, with the best weights; none where the losses of steps
    /// were made without such biases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub option_biases: Vec<f64>,
    /// By how much the logit of which token is larger with the weights in `best/` than with those of their step: what these
    /// biases are, where the weights have a place for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logit_shift: Vec<(u32, f64)>,
    /// What the learning rate was made of, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_rate: Option<MeasuredRate>,
    /// Steps done.
    pub steps: u64,
    /// Forward passes of training; a backward pass counts as two.
    pub forwards: u64,
    /// Passes over the weights.
    pub passes: u64,
    /// Tokens that went through the layers in training.
    pub tokens: u64,
    /// Steps without an update.
    pub skipped: u64,
    /// Steps whose losses were equal to the last bit.
    pub flat: u64,
    /// What was not as it should be, and how often.
    pub events: BTreeMap<Event, u64>,
    /// Prompts that were cut.
    pub truncated: usize,
    /// Seconds of training, evaluations not counted.
    pub seconds: f64,
    /// Seconds that each rank has waited for the others, by rank; none for one process. The one that waited least was
    /// waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waited: Vec<f64>,
    /// Peak resident memory of the process from the beginning of this run to its end, in bytes; of a resumed run since it was
    /// resumed. `None` where the system does not tell, or has but one mark for several runs of a process.
    pub peak_memory_bytes: Option<u64>,
    /// Memory of the weights in bytes.
    pub weight_bytes: u64,
    /// Memory of what the method keeps for every weight that moves, in bytes; most keep nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub state_bytes: u64,
    /// What was gained over the model the run began with, on the development examples; `None` if it was not measured,
    /// or the run was interrupted.
    #[serde(default)]
    pub gain: Option<Gain>,
    /// Why the run ended.
    pub stop: StopReason,
    /// What a paper reports for these settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<Published>,
    /// All settings with their defaults, as in `config.toml`.
    #[serde(default)]
    pub settings: Value,
    /// The folder.
    pub run: PathBuf,
    /// The scores by the names of their metrics: `accuracy_before`, `accuracy_after`, `best_dev_accuracy` and the
    /// like.
    #[serde(flatten)]
    pub scores: Map<String, Value>,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

impl Summary {
    /// Score of the start weights on the test examples, from 0 to 1.
    pub fn before(&self) -> Option<f64> {
        self.score(&format!("{}_before", self.metric.key()))
    }

    /// Score of the best weights on the test examples, from 0 to 1.
    pub fn after(&self) -> Option<f64> {
        self.score(&format!("{}_after", self.metric.key()))
    }

    /// Learning rates that may do better, if it was not a good one: larger ones where nothing happened, smaller ones
    /// where the weights became worse or a guard stopped them on their way, and those around one that was measured.
    pub fn rates_to_try(&self) -> Option<[f64; 3]> {
        let measured = self.measured_rate.as_ref().map(|rate| rate.lr);
        let lr = measured.or(self.settings["lr"].as_f64())?;
        let smaller = [0.01, 0.03, 0.1];
        let factors = match (self.stop, self.gain) {
            (StopReason::Guard, _) if self.events.keys().any(Event::is_of_long_steps) => smaller,
            (StopReason::Guard, _) => return None,
            // far below any rate that was ever of use
            (_, Some(Gain::Nothing)) if lr < 1e-7 => return Some([1e-6, 1e-5, 1e-4]),
            // nothing happened because steps were too long to be made
            (_, Some(Gain::Nothing))
                if 2 * self.skipped > self.steps
                    && self.events.keys().any(Event::is_of_long_steps) =>
            {
                smaller
            }
            (_, Some(Gain::Nothing)) if measured.is_some() => [0.3, 3.0, 10.0],
            (_, Some(Gain::Nothing)) => [10.0, 100.0, 1000.0],
            (_, Some(Gain::Worse | Gain::BlewUp)) => smaller,
            _ => return None,
        };
        let rates = factors.map(|factor| rounded(lr * factor));
        rates.iter().all(|rate| rate.is_finite()).then_some(rates)
    }

    /// The best score on the development examples, from 0 to 1.
    pub fn best_dev(&self) -> Option<f64> {
        self.score(&format!("best_dev_{}", self.metric.key()))
    }

    fn score(&self, name: &str) -> Option<f64> {
        self.scores.get(name)?.as_f64()
    }
}

/// What the metrics were on the test examples before and after, and on the development examples at best.
pub(crate) fn named_scores(
    before: &Evaluation,
    after: Option<&Evaluation>,
    best: Option<&EvalRecord>,
) -> Map<String, Value> {
    let mut named = scores(before, "_before");
    if let Some(after) = after {
        named.extend(scores(after, "_after"));
    }
    let best = best.and_then(|record| record.dev_score.value());
    named.insert(format!("best_dev_{}", before.metric.key()), best.into());
    named
}

/// The scores of an evaluation by their names in JSON, which end with `suffix`.
pub fn scores(evaluation: &Evaluation, suffix: &str) -> Map<String, Value> {
    let named = |metric: Metric, score: f64| (format!("{}{suffix}", metric.key()), score.into());
    let exact = evaluation
        .exact_match
        .map(|score| named(Metric::ExactMatch, score));
    let own = named(evaluation.metric, evaluation.score);
    // for a task scored by exact match both are the same
    [Some(own), exact].into_iter().flatten().collect()
}

/// To one digit.
fn rounded(x: f64) -> f64 {
    format!("{x:.0e}").parse().unwrap_or(x)
}

/// A number; JSON's `null` stands for one that is not finite.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
