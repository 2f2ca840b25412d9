//! Where model, tokenizer, task and rows come from.

use super::built_in::{self, BuiltIn};
use super::columns;
use super::mixed_up;
use super::of_run;
use super::room::Room;
use super::task::{self, Asked};
use crate::error::{Blame, Result, RunError, refuse};
use crate::folder::TaskNote;
use crate::settings::{BUILT_IN_MODEL, BUILT_IN_TASK, Inputs};
use crate::watch::Watch;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zograd_files::Bytes;
use zograd_models::hub::{self, Download, HubError};
use zograd_tasks::{Dataset, Task, UserTask};

/// The files of a model.
pub struct ModelSource {
    /// The model in words, for reports.
    pub name: String,
    /// The model folder.
    pub folder: PathBuf,
    /// The tokenizer folder.
    pub tokenizer: PathBuf,
    /// Holds a built-in model that is unpacked for this process alone.
    unpacked: Option<tempfile::TempDir>,
}

/// A task and its rows.
pub struct TaskSource {
    /// The task in words, for reports.
    pub name: String,
    /// How rows are read.
    pub task: Arc<dyn Task>,
    /// The rows.
    pub data: Dataset,
    /// The text of the task's file, where it is not built in.
    pub file: Option<String>,
    /// Whether the task was made of columns.
    pub is_made: bool,
}

/// Where the inputs come from.
pub struct Sources {
    /// The model in words, for reports.
    pub model_name: String,
    /// The task in words, for reports.
    pub task_name: String,
    /// The model folder.
    pub model: PathBuf,
    /// The tokenizer folder.
    pub tokenizer: PathBuf,
    /// How rows are read.
    pub task: Arc<dyn Task>,
    /// The rows.
    pub data: Dataset,
    /// The text of the task's file, where it is not built in.
    pub task_file: Option<String>,
    /// Whether that was made of columns.
    pub task_is_made: bool,
    /// Holds a built-in model that is unpacked for this process alone.
    _unpacked: Option<tempfile::TempDir>,
}

impl TaskSource {
    /// Finds the task and those of its rows that are to be read, and makes sure that a model goes with them.
    ///
    /// # Errors
    /// Whatever is missing, by the name of its setting.
    pub fn find(asked: Asked<'_>, watch: &mut dyn Watch) -> Result<Self> {
        // what is missing beside a model that is not there is no help
        match asked.inputs.model.as_deref() {
            Some(name) if name != BUILT_IN_MODEL => hub::check_name(name).about("`model`")?,
            _ => {}
        }
        asked.inputs.check(asked.columns)?;
        Self::open(asked, watch)
    }

    /// The same, whether there is a model or not.
    ///
    /// # Errors
    /// Whatever is missing, by the name of its setting.
    pub fn open(asked: Asked<'_>, watch: &mut dyn Watch) -> Result<Self> {
        let (task, data) = (asked.inputs.task.as_deref(), asked.inputs.data.as_deref());
        let is_built_in = |name: &str| name == BUILT_IN_TASK;
        if let Some(data) = data {
            let opened = task::open(asked, data, watch)?;
            return Ok(Self {
                name: opened.task.name().to_string(),
                task: opened.task,
                data: opened.data,
                file: opened.file,
                is_made: opened.is_made,
            });
        }
        if asked.columns.stand_for_a_task() || !task.is_none_or(is_built_in) {
            let given = match task {
                Some(task) => format!("`task = {task}`"),
                None => "what the columns are".into(),
            };
            refuse!("{given} needs `data`, the file or folder with the rows");
        }
        let (train, validation) = (zograd_embedded::TRAIN, zograd_embedded::VALIDATION);
        Ok(Self {
            name: BUILT_IN_TASK.into(),
            task: task::built_in_task(BUILT_IN_TASK)?,
            data: Dataset::from_json_lines("built-in rows", train, validation),
            file: None,
            is_made: false,
        })
    }
}

impl TaskSource {
    /// The same under the name that the run in this folder has for it: a task of columns is called as its file is, which may
    /// have got another name since.
    ///
    /// # Errors
    /// The run's settings cannot be read.
    pub(crate) fn called_as_in(self, run: &Path) -> Result<Self> {
        let settings = of_run::settings(run)?;
        let data = settings.get("data").and_then(toml::Value::as_str);
        let data = data.filter(|data| *data != "-");
        let (Some(data), Some(text), true) = (data, &self.file, self.is_made) else {
            return Ok(self);
        };
        let mut table: toml::Table = text.parse().or_input()?;
        let name = columns::name_of(Path::new(data));
        table.insert("name".into(), name.clone().into());
        let text = table.to_string();
        let file = Path::new("task.toml");
        Ok(Self {
            task: Arc::new(UserTask::parse(file, &text).or_input()?),
            file: Some(text),
            name,
            ..self
        })
    }
}

impl ModelSource {
    /// Finds the model, without loading weights; it may be fetched from the hub. The built-in one if none is named.
    ///
    /// # Errors
    /// Whatever is missing, by the name of its setting; a disk without room for it.
    pub fn find(inputs: &Inputs, watch: &mut dyn Watch) -> Result<Self> {
        Self::find_for(inputs, None, watch)
    }

    /// The same for a run that needs `room`, which is made sure of before the weights are fetched.
    ///
    /// # Errors
    /// The same.
    pub fn find_for(inputs: &Inputs, room: Option<&Room>, watch: &mut dyn Watch) -> Result<Self> {
        let named = inputs
            .model
            .as_deref()
            .filter(|name| *name != BUILT_IN_MODEL);
        let (name, folder, unpacked) = match named {
            Some(name) => (name.to_owned(), model_folder(name, room, watch)?, None),
            None => {
                let BuiltIn { model, own } = built_in::find()?;
                (BUILT_IN_MODEL.into(), model, own)
            }
        };
        Ok(Self {
            tokenizer: inputs.tokenizer.clone().unwrap_or_else(|| folder.clone()),
            name,
            folder,
            unpacked,
        })
    }

    /// The model folder, if it holds an adapter beside the weights: Hugging Face's transformers then load both.
    pub fn own_adapter(&self) -> Option<&Path> {
        let config = self.folder.join("adapter_config.json");
        config.exists().then_some(self.folder.as_path())
    }

    /// The adapter to use: the one that was given, or that beside the weights. What is not plain from what was given is
    /// told.
    pub fn adapter(&self, given: Option<PathBuf>, watch: &mut dyn Watch) -> Option<PathBuf> {
        let own = self.own_adapter();
        if let Some(folder) = own.filter(|own| given.as_deref() != Some(*own)) {
            let folder = folder.display();
            watch.note(&match &given {
                Some(_) => format!(
                    "note: {folder} holds an adapter beside its weights, which is left out: another was given"
                ),
                None => format!(
                    "note: {folder} holds an adapter beside its weights, which is used with them"
                ),
            });
        }
        given.or(own.map(Path::to_owned))
    }

    /// Refuses a model folder with an adapter beside the weights, where the weights alone would be used.
    ///
    /// # Errors
    /// It is one.
    pub fn refuse_own_adapter(&self) -> Result<()> {
        match self.own_adapter() {
            Some(folder) => refuse!(
                "`model = {}`: it holds an adapter beside its weights; merge the two first, as `model` and as \
                 `adapter`, or move adapter_config.json away to use the weights alone",
                folder.display()
            ),
            None => Ok(()),
        }
    }
}

impl Sources {
    /// Both together.
    pub fn new(task: TaskSource, model: ModelSource) -> Self {
        Self {
            model_name: model.name,
            task_name: task.name,
            model: model.folder,
            tokenizer: model.tokenizer,
            task: task.task,
            data: task.data,
            task_file: task.file,
            task_is_made: task.is_made,
            _unpacked: model.unpacked,
        }
    }
}

impl Sources {
    /// What weights that are tuned with these inputs say of their task, and of chats by this template, if it was given.
    pub fn note(&self, inputs: &Inputs, template: Option<&str>) -> TaskNote {
        let files = (self.task_file.as_deref(), template);
        TaskNote::new(inputs, &self.task_name, files)
    }
}

/// The folder of a model that was named.
fn model_folder(name: &str, room: Option<&Room>, watch: &mut dyn Watch) -> Result<PathBuf> {
    let mut before = |download: &Download<'_>| {
        if let Some(room) = room {
            let checked = room.check(download.config, Some(download));
            checked.map_err(|error| error.to_string())?;
        }
        watch.note(&format!(
            "note: fetching {name}, {} of weights, into {}",
            Bytes(download.bytes),
            download.cache.display()
        ));
        Ok(())
    };
    let folder = match hub::resolve_with(name, &mut before) {
        // it names the setting itself
        Err(HubError::Refused(words)) => return Err(RunError::input(words)),
        other => other.about("`model`")?,
    };
    mixed_up::check_model(name, &folder)?;
    Ok(folder)
}

/// The name of the task in words, before anything is read: of columns that stand for one it is that of the rows.
pub(crate) fn task_word(task: Option<&str>, data: Option<&str>) -> String {
    let name = Path::new(task.or(data).unwrap_or(BUILT_IN_TASK));
    // of a file its name
    name.file_stem().unwrap_or_default().display().to_string()
}
