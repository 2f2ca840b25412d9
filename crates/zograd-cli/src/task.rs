//! The task a command is about: built in, or described in a TOML file.

use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use zograd_tasks::{Dataset, Split, Task, UserTask, tasks};

/// Whether `--task` names a file rather than a built-in task.
pub fn is_file(name: &str) -> bool {
    Path::new(name).extension() == Some(OsStr::new("toml"))
}

/// The built-in task with this name.
///
/// # Errors
/// There is none; the most similar one is suggested.
pub fn built_in(name: &str) -> Result<Arc<dyn Task>> {
    Ok(Arc::new(tasks::by_name(name).context("--task")?))
}

/// The task with this name or in this file, and the rows in the folder `data`.
///
/// # Errors
/// There is no such task, no rows, or a task file that names fields the rows do not have.
pub fn open(name: &str, data: &Path) -> Result<(Arc<dyn Task>, Dataset)> {
    if !is_file(name) {
        return Ok((built_in(name)?, Dataset::open(data).context("--data")?));
    }
    let task = UserTask::read(Path::new(name)).context("--task")?;
    let data = Dataset::open(data).context("--data")?;
    for split in [Split::Train, Split::Validation] {
        for row in data.range(split, 0..1).context("--data")? {
            task.check_fields(&row).context("--task")?;
        }
    }
    Ok((Arc::new(task), data))
}
