//! Tasks that users describe in a TOML file.

mod error;
mod file;
mod template;

use crate::metrics::Metric;
use crate::row::whole;
use crate::whitespace::strip;
use crate::{AnswerEnd, Cloze, DataError, Row, Sample, Task};
pub use error::{TaskFileError, UnknownField};
use file::{Endings, TaskFile};
use serde_json::{Number, Value};
use std::path::{Path, PathBuf};
use template::Template;

/// A task read from a TOML file: how a row's fields become a prompt, and what is right.
///
/// ```
/// use zograd_tasks::{Row, Task, UserTask};
///
/// let task = UserTask::parse("mail.toml".as_ref(), r#"
///     template = "{mail}\nSpam?"
///     candidates = [" No", " Yes"]
///     label = "kind"
///     labels = ["ham", "spam"]
/// "#)?;
/// let fields = serde_json::from_str(r#"{"mail": "You won!", "kind": "spam"}"#)?;
/// let sample = task.sample(&Row::new(0, "inbox.jsonl:1", fields))?;
/// assert_eq!(sample.cloze.verbalize(1).as_deref(), Some("You won!\nSpam? Yes"));
/// assert_eq!(sample.correct, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct UserTask {
    file: PathBuf,
    name: String,
    template: Template,
    calibration: Option<Template>,
    endings: Endings,
    metric: Metric,
    separator: String,
}

impl UserTask {
    /// Reads a task file, and warns of what is probably not meant ([`notes`](Self::notes)).
    ///
    /// # Errors
    /// It cannot be read, is not TOML, or does not describe a task: the error names the file, the key
    /// and the fix.
    pub fn read(file: &Path) -> Result<Self, TaskFileError> {
        let text = zograd_files::read_text(file, zograd_files::MAX_SMALL_BYTES);
        let text = text.map_err(|source| TaskFileError::Read {
            file: file.to_owned(),
            source,
        })?;
        let task = Self::parse(file, &text)?;
        for note in task.notes() {
            tracing::warn!("{}: {note}", file.display());
        }
        Ok(task)
    }

    /// A task from the text of a file; `file` is its name in messages, and without its extension the
    /// name of a task that gives itself none.
    ///
    /// # Errors
    /// As [`read`](Self::read), but for reading.
    pub fn parse(file: &Path, text: &str) -> Result<Self, TaskFileError> {
        TaskFile::parse(file, text)?.check(file)
    }

    /// What is probably not meant, in words: prompts that hold the answer, candidates that run into the word before them.
    pub fn notes(&self) -> Vec<String> {
        let (result, candidates) = match &self.endings {
            Endings::Written { answer, .. } => (answer, None),
            Endings::Chosen {
                label, candidates, ..
            } => (label, Some(candidates)),
        };
        let told = self.template.fields().any(|field| field == result);
        let told = told.then(|| {
            format!(
                "template: {{{result}}} is the answer itself: a model that reads it learns to repeat it and nothing else"
            )
        });
        let mut candidates = candidates.into_iter().flatten();
        let glued = candidates.find_map(|c| self.template.glued(c));
        let glued = glued.map(|text| {
            let end: String = text.chars().rev().take(40).collect();
            let end: String = end.chars().rev().collect();
            format!(
                "candidates: without a blank before it, a candidate and what stands before it read as one word \
                 ({end:?}); begin candidates with a blank or a line break"
            )
        });
        told.into_iter().chain(glued).collect()
    }

    /// Whether this row has every field that the task file names: the first row of a split tells
    /// whether file and data belong together.
    ///
    /// # Errors
    /// [`TaskFileError::UnknownField`], with the most similar field there is.
    pub fn check_fields(&self, row: &Row) -> Result<(), TaskFileError> {
        let missing = self
            .fields()
            .into_iter()
            .find(|(_, field)| row.value(field).is_err() && !row.is_unlabelled(field));
        let Some((key, field)) = missing else {
            return Ok(());
        };
        let (near, present) = row.instead(field);
        Err(TaskFileError::UnknownField(Box::new(UnknownField {
            file: self.file.clone(),
            key,
            near,
            field: field.to_owned(),
            location: row.location().to_owned(),
            present,
        })))
    }

    /// The gold answers, a text or a list of at least one, as they are compared: without blanks and line breaks at their
    /// ends.
    fn answers(&self, row: &Row, field: &str, end: AnswerEnd) -> Result<Vec<String>, DataError> {
        if row.is_unlabelled(field) {
            return Ok(vec![]);
        }
        let answers = match row.value(field)? {
            Value::Array(_) => row.texts(field)?,
            _ => vec![row.text(field)?],
        };
        let answers: Vec<String> = answers.into_iter().map(|a| strip(a).to_owned()).collect();
        if end == AnswerEnd::Line && answers.iter().any(|answer| answer.contains('\n')) {
            return Err(DataError::LineBreak {
                location: row.location().to_owned(),
                field: field.to_owned(),
                file: self.file.clone(),
            });
        }
        Ok(answers)
    }

    /// The fields that the prompt is made of.
    pub fn prompt_fields(&self) -> Vec<String> {
        self.template.fields().map(String::from).collect()
    }

    /// Every field that is read, with the key that names it.
    fn fields(&self) -> Vec<(&'static str, &str)> {
        let mut fields: Vec<(&'static str, &str)> =
            self.template.fields().map(|f| ("template", f)).collect();
        let calibration = self.calibration.iter().flat_map(Template::fields);
        fields.extend(calibration.map(|f| ("calibration", f)));
        match &self.endings {
            Endings::Written { answer, .. } => fields.push(("answer", answer)),
            Endings::Chosen {
                candidates, label, ..
            } => {
                let candidates = candidates.iter().flat_map(Template::fields);
                fields.extend(candidates.map(|f| ("candidates", f)));
                fields.push(("label", label));
            }
        }
        fields
    }
}

/// The fields that a template has places for.
///
/// # Errors
/// What is wrong with its braces, in words.
pub fn template_fields(template: &str) -> Result<Vec<String>, String> {
    let template = Template::parse(template)?;
    Ok(template.fields().map(String::from).collect())
}

impl Task for UserTask {
    fn name(&self) -> &str {
        &self.name
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let context = self.template.fill(row)?;
        if self.template.has_nothing_of(row) {
            return Err(DataError::EmptyPrompt {
                location: row.location().to_owned(),
                fields: self.template.fields().collect::<Vec<_>>().join(", "),
            });
        }
        let (candidates, label, labels) = match &self.endings {
            Endings::Written { answer, end } => {
                let answers = self.answers(row, answer, *end)?;
                return Ok(Sample::written(row, context, answers, *end));
            }
            Endings::Chosen {
                candidates,
                label,
                labels,
            } => (candidates, label, labels),
        };
        let endings = candidates.iter().map(|candidate| candidate.fill(row));
        let endings: Vec<String> = endings.collect::<Result<_, _>>()?;
        let correct = match labels {
            _ if row.is_unlabelled(label) => vec![],
            Some(labels) => vec![position(row, label, labels)?],
            None => match row.value(label)? {
                value @ Value::String(found) if row.number_in(value).is_none() => {
                    return Err(DataError::TextLabel {
                        location: row.location().to_owned(),
                        field: label.clone(),
                        found: found.clone(),
                        file: self.file.clone(),
                    });
                }
                _ => row.correct(label, candidates.len())?,
            },
        };
        let calibration = match &self.calibration {
            Some(template) => Some(Cloze::new(template.fill(row)?, endings.clone())),
            None => None,
        };
        Ok(Sample {
            row: row.number(),
            cloze: Cloze { context, endings },
            calibration,
            correct,
            answers: vec![],
            chat: None,
        })
    }

    fn answer_end(&self) -> AnswerEnd {
        match self.endings {
            Endings::Written { end, .. } => end,
            Endings::Chosen { .. } => AnswerEnd::Line,
        }
    }

    fn label_field(&self) -> Option<&str> {
        let field = match &self.endings {
            Endings::Written { answer, .. } => answer,
            Endings::Chosen { label, .. } => label,
        };
        let mut prompt = self
            .fields()
            .into_iter()
            .filter(|(key, _)| !["label", "answer"].contains(key));
        (!prompt.any(|(_, read)| read == field)).then_some(field)
    }

    fn option_names(&self) -> Option<Vec<String>> {
        match &self.endings {
            Endings::Chosen {
                labels: Some(labels),
                ..
            } => Some(labels.iter().map(in_words).collect()),
            _ => None,
        }
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn is_generation(&self) -> bool {
        matches!(self.endings, Endings::Written { .. })
    }

    fn separator(&self) -> &str {
        &self.separator
    }
}

/// Whether a row's value is this label; `1` and `1.0` are the same, and in a table of texts `True` and `true`.
fn is_same(label: &Value, value: &Value, row: &Row) -> bool {
    let is_number = |a: &Number| {
        let found = row.number_in(value);
        found.is_some_and(|b| *a == b || whole(a).is_some_and(|a| whole(&b) == Some(a)))
    };
    match (label, value) {
        (Value::Number(a), _) => is_number(a),
        (Value::Bool(a), Value::String(b)) if row.is_untyped() => {
            b.trim().eq_ignore_ascii_case(&a.to_string())
        }
        _ => label == value,
    }
}

/// A label as people write it.
fn in_words(label: &Value) -> String {
    match label {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Which of the labels the row has.
fn position(row: &Row, field: &str, labels: &[Value]) -> Result<usize, DataError> {
    let value = row.value(field)?;
    let place = labels.iter().position(|label| is_same(label, value, row));
    place.ok_or_else(|| DataError::UnknownValue {
        location: row.location().to_owned(),
        field: field.to_owned(),
        found: in_words(value),
        expected: format!(
            "one of {}",
            labels
                .iter()
                .map(|label| label.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    })
}
