//! Where model, tokenizer, task and rows come from.

use super::{mixed_up, task};
use crate::error::{Blame, Result, refuse};
use crate::settings::Inputs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zograd_tasks::{Dataset, Task};

/// The name of the built-in task.
pub const BUILT_IN_TASK: &str = "toy";
/// The name of the built-in model in reports.
pub const BUILT_IN_MODEL: &str = "embedded";

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
    /// Holds the unpacked built-in model while it is in use.
    _unpacked: Option<tempfile::TempDir>,
}

impl Sources {
    /// Finds everything, without loading weights.
    ///
    /// # Errors
    /// Whatever is missing, by the name of its setting.
    pub fn find(inputs: &Inputs, own: &[Arc<dyn Task>]) -> Result<Self> {
        let (model_name, model, unpacked) = match &inputs.model {
            Some(name) => (name.clone(), model_folder(name)?, None),
            None => {
                let (folder, model) = unpack()?;
                (BUILT_IN_MODEL.into(), model, Some(folder))
            }
        };
        let (task_name, task, data) = match (&inputs.task, &inputs.data) {
            (Some(name), Some(folder)) => {
                let (task, data) = task::open_task(name, folder, own)?;
                (task.name().to_string(), task, data)
            }
            (None, None) => {
                let task = task::built_in_task(BUILT_IN_TASK)?;
                let (train, validation) = (zograd_embedded::TRAIN, zograd_embedded::VALIDATION);
                let data = Dataset::from_json_lines("built-in rows", train, validation);
                (BUILT_IN_TASK.into(), task, data)
            }
            (Some(task), None) => {
                refuse!("`task = {task}` needs `data`, the folder with its rows")
            }
            (None, Some(_)) => {
                refuse!("`data` needs `task`, the name of the task its rows belong to")
            }
        };
        Ok(Self {
            tokenizer: inputs.tokenizer.clone().unwrap_or_else(|| model.clone()),
            model_name,
            task_name,
            model,
            task,
            data,
            _unpacked: unpacked,
        })
    }
}

impl Sources {
    /// The model folder, if it holds an adapter beside the weights: Hugging Face's transformers then load both.
    pub fn own_adapter(&self) -> Option<&Path> {
        let config = self.model.join("adapter_config.json");
        config.exists().then_some(self.model.as_path())
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

/// The folder of a model that was named.
fn model_folder(name: &str) -> Result<PathBuf> {
    let folder = zograd_models::hub::resolve(name).about("`model`")?;
    mixed_up::check_model(name, &folder)?;
    Ok(folder)
}

/// The built-in model in a temporary folder, and where in it. If this fails, a disk is full.
fn unpack() -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()
        .while_running()
        .about("a temporary folder for the built-in model")?;
    zograd_embedded::unpack(folder.path())
        .while_running()
        .about("unpacking the built-in model")?;
    let model = folder.path().join("model");
    Ok((folder, model))
}

/// The name of the task in words, before anything is read.
pub(crate) fn task_word(task: Option<&str>) -> String {
    let name = Path::new(task.unwrap_or(BUILT_IN_TASK));
    // of a task's file its name
    name.file_stem().unwrap_or_default().display().to_string()
}
