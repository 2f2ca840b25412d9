//! Which columns of somebody's rows are what, where no task says it.

use super::owner::Owner;
use crate::error::{Result, refuse};
use serde::{Deserialize, Serialize};
use zograd_select::Setting;

/// What a row's columns are, by their names: a task made on the fly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Columns {
    /// The text that is to be classified.
    pub text: Option<String>,
    /// Its class.
    pub label: Option<String>,
    /// What is asked.
    pub prompt: Option<String>,
    /// What is to be written.
    pub answer: Option<String>,
    /// The prompt, with the names of columns in braces.
    pub template: Option<String>,
    /// Which word stands for which class.
    pub verbalizer: Option<String>,
    /// How one file becomes several splits.
    pub split: Option<String>,
}

impl Owner for Columns {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Your own rows";
    const SETTINGS: &'static [Setting] = &[
        Setting::text(
            "text",
            "COLUMN",
            "The column with the text to classify; with `label` it takes the place of a task",
        ),
        Setting::text(
            "label",
            "COLUMN",
            "The column with its class, a word or a whole number",
        ),
        Setting::text(
            "prompt",
            "COLUMN",
            "The column with what is asked, where the model is to write; goes with `answer`",
        ),
        Setting::text(
            "answer",
            "COLUMN",
            "The column with the answer that the model is to write",
        ),
        Setting::text(
            "template",
            "TEXT",
            "The prompt, with columns in braces and \\n for a line break, such as \"Review: {text}\\nIt was\"",
        )
        .or("{COLUMN}, a line break, the name of the other column and a colon"),
        Setting::text(
            "verbalizer",
            "LABEL=WORD,..",
            "The word that the model is to say for each class, such as neg=terrible,pos=great",
        )
        .or("the labels themselves"),
        Setting::text(
            "split",
            "SHARES",
            "How one file is divided: 0.9/0.1 (train/test) or 0.8/0.1/0.1 (train/dev/test); a row's place depends on its \
             text alone, so that it stays there when rows are added",
        )
        .or("0.8/0.1/0.1 where several splits are needed, else all rows"),
    ];
}

/// Which of a row's columns are what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roles<'a> {
    /// A text is given one of some classes.
    Choice {
        text: Option<&'a str>,
        /// The column of the class, if the rows have it.
        label: Option<&'a str>,
    },
    /// A prompt is answered in the model's own words.
    Written {
        prompt: Option<&'a str>,
        /// The column of the answer, if the rows have it.
        answer: Option<&'a str>,
    },
}

impl Columns {
    /// What the columns are; none where a task says it, or nothing does.
    ///
    /// # Errors
    /// Columns that do not go together, or with a task.
    pub(crate) fn roles(&self, task: Option<&str>) -> Result<Option<Roles<'_>>> {
        let given = [
            ("text", &self.text),
            ("label", &self.label),
            ("prompt", &self.prompt),
            ("answer", &self.answer),
            ("template", &self.template),
            ("verbalizer", &self.verbalizer),
        ];
        let mut given = given
            .iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| (*key, value)));
        let Some((key, value)) = given.next() else {
            return Ok(None);
        };
        if let Some(task) = task {
            refuse!(
                "`{key} = {value}`: `task = {task}` says what the columns are; give one of the two"
            );
        }
        let chosen = self.text.is_some() || self.label.is_some() || self.verbalizer.is_some();
        let written = self.prompt.is_some() || self.answer.is_some();
        let roles = match (chosen, written) {
            (true, true) => refuse!(
                "`text` and `label` are for classes to choose from, `prompt` and `answer` for texts to write: give the \
                 two of one kind"
            ),
            (true, false) => Roles::Choice {
                text: self.text.as_deref(),
                label: self.label.as_deref(),
            },
            (false, true) => Roles::Written {
                prompt: self.prompt.as_deref(),
                answer: self.answer.as_deref(),
            },
            (false, false) => refuse!(
                "`template`: say what is to come behind it: the column of a class (`label`) or of an answer (`answer`)"
            ),
        };
        let (has_input, column, input) = match roles {
            Roles::Choice { text, .. } => (text.is_some(), "text", "classify"),
            Roles::Written { prompt, .. } => (prompt.is_some(), "prompt", "answer"),
        };
        if !has_input && self.template.is_none() {
            refuse!(
                "`{column}` is missing: the column with the text to {input} (or a `template` that names it)"
            );
        }
        Ok(Some(roles))
    }

    /// Whether anything stands in the place of a task.
    pub(crate) fn stand_for_a_task(&self) -> bool {
        let task_less = Self {
            split: None,
            ..self.clone()
        };
        task_less != Self::default()
    }
}
