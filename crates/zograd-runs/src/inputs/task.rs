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

/// The task with this name (one of one's `own` first) or in this file, and the rows in the folder `data`.
///
/// # Errors
/// There is no such task, no rows, or a task file that names fields the rows do not have.
pub fn open_task(
    name: &str,
    data: &Path,
    own: &[Arc<dyn Task>],
) -> Result<(Arc<dyn Task>, Dataset)> {
    if let Some(task) = own.iter().find(|task| task.name() == name) {
        return Ok((task.clone(), Dataset::open(data).about("`data`")?));
    }
    if !is_task_file(name) {
        return Ok((built_in_task(name)?, Dataset::open(data).about("`data`")?));
    }
    let task = UserTask::read(Path::new(name)).about("`task`")?;
    let data = Dataset::open(data).about("`data`")?;
    for split in [Split::Train, Split::Validation] {
        for row in data.range(split, 0..1).about("`data`")? {
            task.check_fields(&row).about("`task`")?;
        }
    }
    Ok((Arc::new(task), data))
}
