//! What is added to a row that was answered.

use crate::predictions::{name, shares};
use serde_json::{Map, Value};
use zograd_tasks::{Sample, Task};
use zograd_trainer::Answer;

/// What the classes are called in the names of columns.
pub(super) struct Names(Option<Vec<String>>);

impl Names {
    /// Those of a task.
    pub fn of(task: &dyn Task) -> Self {
        Self(task.option_names())
    }

    /// An answer as fields: the prediction, and for a choice the probability of each option, which is called by its class
    /// or by its number.
    pub fn answer(&self, answer: &Answer, sample: &Sample) -> Map<String, Value> {
        let mut fields = Map::new();
        match answer {
            Answer::Text { prediction, .. } => {
                fields.insert("prediction".into(), prediction.clone().into());
            }
            Answer::Choice {
                prediction, scores, ..
            } => {
                let shares = shares(scores);
                let is_finite = shares.iter().all(|share| share.is_finite());
                let chosen = name(sample, self.0.as_deref(), *prediction);
                let chosen = is_finite.then_some(chosen);
                fields.insert("prediction".into(), chosen.into());
                if self.0.is_none() {
                    let number = is_finite.then_some(*prediction);
                    fields.insert("prediction_number".into(), number.into());
                }
                for (k, share) in shares.into_iter().enumerate() {
                    let class = self.0.as_ref().and_then(|names| names.get(k));
                    let class = class.cloned().unwrap_or_else(|| k.to_string());
                    // what is not finite is null
                    fields.insert(format!("probability_{class}"), share.into());
                }
            }
        }
        fields
    }
}

/// A row with its answer; names that the row has already get an underscore.
pub(super) fn joined(
    mut row: Map<String, Value>,
    answer: Map<String, Value>,
) -> Map<String, Value> {
    for (mut name, value) in answer {
        while row.contains_key(&name) {
            name.push('_');
        }
        row.insert(name, value);
    }
    row
}
