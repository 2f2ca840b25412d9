//! Which model, task and rows.

use super::columns::Columns;
use super::owner::Owner;
use crate::error::{Result, refuse};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use zograd_select::Setting;

/// The name of the built-in model.
pub const BUILT_IN_MODEL: &str = "embedded";
/// The name of the built-in task.
pub const BUILT_IN_TASK: &str = "toy";

/// Which model and task, and how prompts are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Inputs {
    /// A model folder, or a hub id.
    pub model: Option<String>,
    /// A tokenizer folder, if the model folder has none.
    pub tokenizer: Option<PathBuf>,
    /// A task's name, or the TOML file of one's own.
    pub task: Option<String>,
    /// The file or folder with the rows; `-` is the standard input.
    pub data: Option<PathBuf>,
    /// The template that makes a text of a chat, if the model has none.
    pub chat_template: Option<PathBuf>,
    /// The token that begins every prompt.
    pub bos_id: Option<u32>,
    /// The longest prompt in tokens.
    pub max_length: Option<usize>,
    /// The longest written answer in tokens.
    pub max_new_tokens: Option<usize>,
}

impl Owner for Inputs {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Input";
    const SETTINGS: &'static [Setting] = &[
        Setting::text(
            "model",
            "DIR|ID",
            "A Hugging Face model folder, a GGUF file, or a hub id such as facebook/opt-125m",
        )
        .or("with the built-in task: embedded, a tiny OPT"),
        Setting::path("tokenizer", "DIR", "Tokenizer folder, if the model folder has none"),
        Setting::text(
            "task",
            "NAME",
            "The task, such as sst2 or chat, or the TOML file of your own",
        )
        .or("with the built-in model: toy, a small sentiment task"),
        Setting::path(
            "data",
            "PATH",
            "The rows: a CSV, TSV, JSON, JSONL or Parquet file, a folder with train and validation files, or - for the \
             standard input",
        ),
        Setting::path(
            "chat-template",
            "FILE",
            "File with the chat template, in Jinja (rows that are chats)",
        )
        .or("the model's own"),
        Setting::count("bos-id", "ID", "Token id that begins every prompt")
            .or("the tokenizer's; MeZO's code uses 0"),
        Setting::count("max-length", "N", "Longest prompt in tokens, cut from the left")
            .or("the model's positions"),
        Setting::count(
            "max-new-tokens",
            "N",
            "Longest written answer in tokens; prompts leave room for it (tasks with written answers)",
        )
        .or("50"),
    ];
}

impl Inputs {
    /// Whether model, task and rows are those that are built in.
    pub fn built_in(&self) -> bool {
        let is = |given: &Option<String>, name| given.as_deref().is_none_or(|given| given == name);
        is(&self.model, BUILT_IN_MODEL) && is(&self.task, BUILT_IN_TASK) && self.data.is_none()
    }

    /// Refuses what is built in in the place of something that was forgotten. It stands in for model and task together,
    /// or by its name.
    ///
    /// # Errors
    /// A model without a task, or a task or rows without a model.
    pub fn check(&self, columns: &Columns) -> Result<()> {
        if columns.stand_for_a_task() {
            return match (&self.model, &self.data) {
                (Some(_), Some(_)) => Ok(()),
                (_, None) => refuse!(
                    "what the columns are needs `data`, the file or folder with the rows, and `model`"
                ),
                (None, Some(data)) => refuse!(
                    "`data = {}` needs `model`; `model = {BUILT_IN_MODEL}` is the tiny one that is built in",
                    data.display()
                ),
            };
        }
        let by_name = |setting: &str, name: &str, what: &str| {
            format!("; `{setting} = {name}` is the {what} that is built in")
        };
        let (given, missing, built_in) = match (&self.model, &self.task, &self.data) {
            (Some(model), None, None) if model != BUILT_IN_MODEL => (
                format!("`model = {model}`"),
                "`task` and `data`",
                by_name("task", BUILT_IN_TASK, "small one with rows"),
            ),
            (None, Some(task), None) if task != BUILT_IN_TASK => (
                format!("`task = {task}`"),
                "`model` and `data`",
                String::new(),
            ),
            (None, Some(task), Some(_)) => (
                format!("`task = {task}`"),
                "`model`",
                by_name("model", BUILT_IN_MODEL, "tiny one"),
            ),
            (None, None, Some(data)) => (
                format!("`data = {}`", data.display()),
                "`model` and `task`",
                " (or which column is what: `text` and `label`, or `prompt` and `answer`)".into(),
            ),
            _ => return Ok(()),
        };
        refuse!("{given} needs {missing}{built_in}")
    }

    /// The same with paths that mean the same from any folder.
    pub(super) fn absolute(self) -> Self {
        Self {
            model: self.model.map(absolute_if_there),
            tokenizer: self.tokenizer.map(absolute),
            task: self.task.map(absolute_if_task_file),
            data: self.data.map(absolute_unless_input),
            chat_template: self.chat_template.map(absolute),
            ..self
        }
    }
}

/// How many rows a run uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ExampleCounts {
    /// To learn from.
    pub train_examples: Option<usize>,
    /// To choose the best weights by.
    pub dev_examples: Option<usize>,
    /// To report.
    pub test_examples: Option<usize>,
}

impl Owner for ExampleCounts {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Input";
    const SETTINGS: &'static [Setting] = &[
        Setting::count("train-examples", "N", "Training examples drawn from the train rows")
            .or("1000"),
        Setting::count(
            "dev-examples",
            "N",
            "Development examples, drawn from the remaining train rows: the best weights are those that do best on \
             them; fewer where training examples that were asked for leave fewer",
        )
        .or("500, in the built-in run 200"),
        Setting::count(
            "test-examples",
            "N",
            "Test examples drawn from the validation rows, scored before and after",
        )
        .or("1000, in the built-in run 500"),
    ];
}

/// A path that means the same from any folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The same for rows, which may come from the standard input.
fn absolute_unless_input(data: PathBuf) -> PathBuf {
    match data == Path::new("-") {
        true => data,
        false => absolute(data),
    }
}

/// The same for a path that is a text; it stays as it is where the working folder is none.
fn absolute_text(path: String) -> String {
    let whole = absolute(PathBuf::from(&path)).into_os_string();
    whole.into_string().unwrap_or(path)
}

/// The same for a model, which may also be the name of one on the hub.
fn absolute_if_there(model: String) -> String {
    match Path::new(&model).exists() && model != BUILT_IN_MODEL {
        true => absolute_text(model),
        false => model,
    }
}

/// The same for a task, which may be the name of a built-in one.
fn absolute_if_task_file(name: String) -> String {
    match is_task_file(&name) {
        true => absolute_text(name),
        false => name,
    }
}

/// Whether a task's name is that of a file rather than of a built-in task.
pub(crate) fn is_task_file(name: &str) -> bool {
    Path::new(name).extension() == Some(OsStr::new("toml"))
}
