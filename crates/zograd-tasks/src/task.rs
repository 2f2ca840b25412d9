use crate::metrics::Metric;
use crate::{AnswerEnd, DataError, Row, Sample};

/// A data set's meaning: which fields a row has, how they read as a prompt, and how a model's
/// choices are scored.
///
/// Only [`name`](Self::name) and [`sample`](Self::sample) must be written; the rest defaults to
/// what most tasks do.
///
/// ```
/// use zograd_tasks::{Cloze, DataError, Row, Sample, Task};
///
/// struct Spam;
///
/// impl Task for Spam {
///     fn name(&self) -> &str {
///         "spam"
///     }
///
///     fn sample(&self, row: &Row) -> Result<Sample, DataError> {
///         let cloze = Cloze::new(format!("{}\nSpam?", row.text("mail")?), [" No", " Yes"]);
///         Ok(Sample {
///             row: row.number(),
///             cloze,
///             calibration: None,
///             correct: vec![row.label("label", 2)?],
///             answers: vec![],
///             chat: None,
///         })
///     }
/// }
///
/// let fields = serde_json::from_str(r#"{"mail": "You won!", "label": 2}"#)?;
/// let error = Spam.sample(&Row::new(0, "inbox.jsonl:1", fields)).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "inbox.jsonl:1: field \"label\" is 2, but this task's labels are 0 to 1",
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
pub trait Task: Send + Sync {
    /// The name by which [`tasks::by_name`](crate::tasks::by_name) finds it: lower case, no blanks.
    fn name(&self) -> &str;

    /// Reads one row.
    ///
    /// # Errors
    /// A field that is missing, of another type or out of range: the error names the row, the field
    /// and what was found.
    fn sample(&self, row: &Row) -> Result<Sample, DataError>;

    /// How predictions are scored.
    fn metric(&self) -> Metric {
        Metric::Accuracy
    }

    /// Whether the model writes its answer instead of choosing among endings. Prompts of such a
    /// task leave room for the answer (see [`PromptEncoder`](crate::PromptEncoder)).
    fn is_generation(&self) -> bool {
        false
    }

    /// Where a written answer ends. At a line break the ending of a sample has one; the end-of-text token is put behind
    /// it by the encoder.
    fn answer_end(&self) -> AnswerEnd {
        AnswerEnd::Line
    }

    /// What predictions call the options of every sample, in their order; `None`: by their texts.
    fn option_names(&self) -> Option<Vec<String>> {
        None
    }

    /// The field that says what is right, if no prompt needs it: rows that are to be answered may have anything in it.
    fn label_field(&self) -> Option<&str> {
        None
    }

    /// Whether MeZO's code trains it to tell its endings apart (MeZO's `train_as_classification`);
    /// otherwise on the text of the right one.
    fn trains_as_classification(&self) -> bool {
        !self.is_generation()
    }

    /// Whether its rows are chats, which the model's own template makes a text of.
    fn is_chat(&self) -> bool {
        false
    }

    /// What stands between demonstrations, and between them and the question (MeZO's `train_sep`).
    fn separator(&self) -> &str {
        "\n\n"
    }
}

impl<T: Task + ?Sized> Task for &T {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        (**self).sample(row)
    }

    fn metric(&self) -> Metric {
        (**self).metric()
    }

    fn is_generation(&self) -> bool {
        (**self).is_generation()
    }

    fn answer_end(&self) -> AnswerEnd {
        (**self).answer_end()
    }

    fn option_names(&self) -> Option<Vec<String>> {
        (**self).option_names()
    }

    fn label_field(&self) -> Option<&str> {
        (**self).label_field()
    }

    fn trains_as_classification(&self) -> bool {
        (**self).trains_as_classification()
    }

    fn is_chat(&self) -> bool {
        (**self).is_chat()
    }

    fn separator(&self) -> &str {
        (**self).separator()
    }
}
