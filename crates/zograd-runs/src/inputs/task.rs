//! The task a command is about: built in, or described in a TOML file.

use crate::error::{Blame, Result};
use crate::settings::is_task_file;
use std::path::Path;
use std::sync::Arc;
use zograd_tasks::{Dataset, Split, Task, UserTask, tasks};

/// The built-in task with this name.
///
/// # Errors
/// There is none; the most similar one is suggested.
pub fn built_in_task(name: &str) -> Result<Arc<dyn Task>> {
    Ok(Arc::new(tasks::by_name(name).about("`task`")?))
}

/// Which rows are going to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The splits; others need not be there.
    pub splits: &'a [Split],
    /// Whether rows need not say what is right.
    pub label_optional: bool,
}

impl Reading<'static> {
    /// All of them, with their labels.
    pub const ALL: Self = Self {
        splits: &[Split::Train, Split::Validation],
        label_optional: false,
    };
}

/// The task with this name (one of one's `own` first) or in this file, and the rows in the folder `data`.
///
/// # Errors
/// There is no such task, no rows, or a task file that names fields the rows do not have.
pub fn open_task(
    name: &str,
    data: &Path,
    own: &[Arc<dyn Task>],
    reading: Reading<'_>,
) -> Result<(Arc<dyn Task>, Dataset)> {
    let open = || Dataset::open_splits(data, reading.splits).about("`data`");
    if let Some(task) = own.iter().find(|task| task.name() == name) {
        return Ok((task.clone(), open()?));
    }
    if !is_task_file(name) {
        return Ok((built_in_task(name)?, open()?));
    }
    let task = UserTask::read(Path::new(name)).about("`task`")?;
    let data = open()?;
    for split in reading.splits {
        for row in data.range(*split, 0..1).about("`data`")? {
            let row = match reading.label_optional {
                true => row.label_optional(),
                false => row,
            };
            task.check_fields(&row).about("`task`")?;
        }
    }
    Ok((Arc::new(task), data))
}
