//! What is added to a row that was answered.

use crate::predictions::{name, shares};
use serde_json::{Map, Value};
use std::sync::Arc;
use zograd_tasks::{Sample, Task, long_numbers_as_texts};
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

/// A row with its answer, on its way.
pub(super) struct Line {
    pub row: Map<String, Value>,
    /// The row as it was written, where the fields have fewer digits.
    pub written: Option<Arc<str>>,
    pub answer: Map<String, Value>,
}

impl Line {
    /// As a line of JSON.
    ///
    /// # Errors
    /// Something that JSON cannot hold.
    pub fn json(self) -> serde_json::Result<String> {
        let Some(text) = self.written else {
            return serde_json::to_string(&joined(self.row, self.answer));
        };
        let fields = self.row.len();
        let joined = joined(self.row, self.answer).into_iter();
        let added: Map<String, Value> = joined.skip(fields).collect();
        let begin = text.trim_end();
        let begin = begin.strip_suffix('}').unwrap_or(begin).trim_end();
        let added = serde_json::to_string(&added)?;
        // a row with a number has a field
        let comma = if added == "{}" { "" } else { "," };
        Ok(format!("{begin}{comma}{}", &added[1..]))
    }

    /// As fields, for tables without JSON's numbers: those with more digits than 64 bits hold are texts.
    ///
    /// # Errors
    /// A line that is no JSON.
    pub fn fields(self) -> serde_json::Result<Map<String, Value>> {
        let quoted = self.written.as_deref().and_then(long_numbers_as_texts);
        let row = match quoted {
            Some(quoted) => serde_json::from_str(&quoted)?,
            None => self.row,
        };
        Ok(joined(row, self.answer))
    }
}

/// A row with its answer; names that the row has already get an underscore.
fn joined(mut row: Map<String, Value>, answer: Map<String, Value>) -> Map<String, Value> {
    for (mut name, value) in answer {
        while row.contains_key(&name) {
            name.push('_');
        }
        row.insert(name, value);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_out_with_all_their_digits() {
        let text = r#"{"id": 123456789012345678901, "prediction": 1 } "#;
        let line = || Line {
            row: serde_json::from_str(text).expect("JSON"),
            written: Some(text.into()),
            answer: Map::from_iter([("prediction".to_owned(), Value::from("good"))]),
        };
        assert_eq!(
            line().json().expect("JSON"),
            r#"{"id": 123456789012345678901, "prediction": 1,"prediction_":"good"}"#
        );
        let fields = line().fields().expect("JSON");
        assert_eq!(fields["id"], "123456789012345678901");
        assert_eq!(fields["prediction_"], "good");
        let blank = Line {
            answer: Map::new(),
            ..line()
        };
        assert_eq!(blank.json().expect("JSON"), text.replace(" } ", "}"));
    }
}
