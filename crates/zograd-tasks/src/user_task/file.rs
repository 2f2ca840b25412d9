//! The keys of a task file, and what makes them a task.

use super::template::Template;
use super::{TaskFileError, UserTask};
use crate::AnswerEnd;
use crate::metrics::Metric;
use crate::near::nearest;
use crate::row::whole;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

const KEYS: [&str; 10] = [
    "name",
    "template",
    "candidates",
    "label",
    "labels",
    "answer",
    "end",
    "metric",
    "calibration",
    "separator",
];

/// As it stands in the file.
#[derive(Deserialize)]
pub(super) struct TaskFile {
    name: Option<String>,
    template: Option<String>,
    candidates: Option<Vec<String>>,
    label: Option<String>,
    labels: Option<Vec<Value>>,
    answer: Option<String>,
    end: Option<AnswerEnd>,
    metric: Option<Metric>,
    calibration: Option<String>,
    separator: Option<String>,
}

/// What may follow the context.
#[derive(Clone, Debug)]
pub(super) enum Endings {
    /// One of these; the field `label` says which, by its number or by its place among `labels`.
    Chosen {
        candidates: Vec<Template>,
        label: String,
        labels: Option<Vec<Value>>,
    },
    /// An answer in words; the field `answer` has the right ones.
    Written { answer: String, end: AnswerEnd },
}

impl TaskFile {
    pub fn parse(file: &Path, text: &str) -> Result<Self, TaskFileError> {
        let wrong = |error: toml::de::Error| TaskFileError::Toml {
            file: file.to_owned(),
            line: error
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1),
            reason: error.message().trim().replace('\n', "; "),
        };
        let table: toml::Table = text.parse().map_err(wrong)?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(TaskFileError::UnknownKey {
                file: file.to_owned(),
                key: key.clone(),
                near: nearest(key, KEYS),
                known: KEYS.join(", "),
            });
        }
        // from the text, not from the table: its errors know their line
        toml::from_str(text).map_err(wrong)
    }

    /// Whether the keys together describe a task.
    pub fn check(self, file: &Path) -> Result<UserTask, TaskFileError> {
        let wrong = |key, fix: String| TaskFileError::Key {
            file: file.to_owned(),
            key,
            fix,
        };
        let parse = |key, text: &str| Template::parse(text).map_err(|fix| wrong(key, fix));
        let template = self.template.as_deref().ok_or_else(|| {
            let fix = "is missing; it is the prompt, such as \"Review: {text}\\nIt was\"";
            wrong("template", fix.into())
        })?;
        let endings = match (self.candidates, self.answer) {
            (Some(_), Some(_)) => {
                let fix = "answers are either chosen (candidates) or written (answer), not both";
                return Err(wrong("answer", fix.into()));
            }
            (None, None) => {
                let fix = "is missing; give the candidates to choose from, or the field \"answer\" \
                           with the right answers if the model is to write its own";
                return Err(wrong("candidates", fix.into()));
            }
            (None, Some(answer)) => {
                for (key, given) in [
                    ("label", self.label.is_some()),
                    ("labels", self.labels.is_some()),
                    ("calibration", self.calibration.is_some()),
                ] {
                    if given {
                        return Err(wrong(key, "only a task with candidates has it".into()));
                    }
                }
                let end = self.end.unwrap_or_default();
                Endings::Written { answer, end }
            }
            (Some(candidates), None) => {
                if self.end.is_some() {
                    let fix = "only a task with written answers (\"answer\") has it";
                    return Err(wrong("end", fix.into()));
                }
                if candidates.len() < 2 {
                    return Err(wrong("candidates", "give at least two".into()));
                }
                let again = |(k, c): (usize, &String)| candidates[..k].contains(c);
                if let Some(k) = candidates.iter().enumerate().position(again) {
                    let twice = format!("{:?} stands there twice", candidates[k]);
                    return Err(wrong("candidates", twice));
                }
                if let Some(labels) = &self.labels {
                    check_labels(labels, candidates.len()).map_err(|fix| wrong("labels", fix))?;
                }
                let label = self.label.ok_or_else(|| {
                    let fix = "is missing; it is the field that says which candidate is right";
                    wrong("label", fix.into())
                })?;
                Endings::Chosen {
                    candidates: candidates
                        .iter()
                        .map(|candidate| parse("candidates", candidate))
                        .collect::<Result<_, _>>()?,
                    label,
                    labels: self.labels,
                }
            }
        };
        let written = matches!(endings, Endings::Written { .. });
        let metric = match (self.metric, written) {
            (Some(Metric::Accuracy), true) => {
                let fix = "written answers are scored by f1 or exact-match";
                return Err(wrong("metric", fix.into()));
            }
            (Some(Metric::Reward), true) => {
                let fix = "rewards are a setting of a run (`reward`); a task is scored by f1 or exact-match";
                return Err(wrong("metric", fix.into()));
            }
            (Some(Metric::F1 | Metric::ExactMatch | Metric::Reward), false) => {
                return Err(wrong("metric", "candidates are scored by accuracy".into()));
            }
            (Some(metric), _) => metric,
            (None, true) => Metric::F1,
            (None, false) => Metric::Accuracy,
        };
        let stem = || {
            file.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        };
        let name = self.name.or_else(stem).unwrap_or_default();
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            let fix = format!("{name:?} cannot name a folder of runs; use letters and digits");
            return Err(wrong("name", fix));
        }
        let calibration = self.calibration.as_deref();
        let template = parse("template", template)?;
        let of_candidates = match &endings {
            Endings::Chosen { candidates, .. } => candidates.as_slice(),
            Endings::Written { .. } => &[],
        };
        let mut texts = std::iter::once(&template).chain(of_candidates);
        if texts.all(|text| text.fields().next().is_none()) {
            let fix = "it has no {field}, so that all rows would read the same; put the fields of a row into it, such \
                       as \"Review: {text}\\nIt was\"";
            return Err(wrong("template", fix.into()));
        }
        Ok(UserTask {
            file: file.to_owned(),
            name,
            template,
            calibration: calibration
                .map(|text| parse("calibration", text))
                .transpose()?,
            endings,
            metric,
            separator: self.separator.unwrap_or_else(|| "\n\n".into()),
        })
    }
}

fn check_labels(labels: &[Value], candidates: usize) -> Result<(), String> {
    if labels.len() != candidates {
        let (n, m) = (labels.len(), candidates);
        return Err(format!(
            "there are {n} for {m} candidates; give one each, in their order"
        ));
    }
    let is_whole = |v: &Value| v.as_number().is_some_and(|n| whole(n).is_some());
    let is_value = |v: &Value| v.is_string() || v.is_boolean() || is_whole(v);
    if let Some(other) = labels.iter().find(|label| !is_value(label)) {
        return Err(format!("{other} is no text, whole number or truth value"));
    }
    match (1..labels.len()).find(|k| labels[..*k].contains(&labels[*k])) {
        Some(k) => Err(format!("{} stands there twice", labels[k])),
        None => Ok(()),
    }
}
