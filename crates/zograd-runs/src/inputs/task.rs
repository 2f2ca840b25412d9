//! The task a command is about: built in, described in a TOML file, or by the columns of its rows.

use super::columns;
use crate::error::{Blame, Result, refuse};
use crate::settings::{Columns, Inputs, Roles, is_task_file};
use crate::watch::Watch;
use std::path::Path;
use std::sync::Arc;
use zograd_files::MAX_SMALL_BYTES;
use zograd_tasks::{ChatTask, Dataset, Opening, Shares, Split, Task, UserTask, tasks};

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

/// What is asked of rows: where they are, and what they are about.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Where they are, and the task.
    pub inputs: &'a Inputs,
    /// What stands in the place of a task.
    pub columns: &'a Columns,
    /// One's own tasks.
    pub own: &'a [Arc<dyn Task>],
    /// Which of them are read.
    pub reading: Reading<'a>,
}

/// A task with its rows.
pub(super) struct Opened {
    pub task: Arc<dyn Task>,
    pub data: Dataset,
    /// The text of the task's file, where it is not built in.
    pub file: Option<String>,
    /// Whether that was made of columns.
    pub is_made: bool,
}

/// The rows at `data`, and their task: the one that is named (one of one's `own` first), in a file, or made of columns.
///
/// # Errors
/// There is no such task, no rows, or a task that names fields the rows do not have.
pub(super) fn open(asked: Asked<'_>, data: &Path, watch: &mut dyn Watch) -> Result<Opened> {
    let Asked {
        inputs,
        columns,
        own,
        reading,
    } = asked;
    if let Some(roles) = columns.roles(inputs.task.as_deref())? {
        return made(asked, roles, data, watch);
    }
    if inputs.task.is_none() {
        let divided = rows(asked, data, &ChatTask::fields());
        // rows that are no chats lack what chats are divided by
        let whole = || first_is_chat(&rows(asked, data, &[])?);
        let is_chat = match &divided {
            Ok(data) => first_is_chat(data)?,
            Err(_) => whole().unwrap_or(true),
        };
        if is_chat {
            return divided.map(chats);
        }
    }
    let Some(name) = inputs.task.as_deref() else {
        refuse!(
            "`data = {}`: say what the rows are about: a `task`, or which column is what (`text` and `label`, or `prompt` \
             and `answer`)",
            data.display()
        );
    };
    if let Some(task) = own.iter().find(|task| task.name() == name) {
        return Ok(Opened {
            task: task.clone(),
            data: rows(asked, data, &[])?,
            file: None,
            is_made: false,
        });
    }
    if name == ChatTask::NAME {
        return Ok(chats(rows(asked, data, &ChatTask::fields())?));
    }
    if !is_task_file(name) {
        return Ok(Opened {
            task: built_in_task(name)?,
            data: rows(asked, data, &[])?,
            file: None,
            is_made: false,
        });
    }
    let path = Path::new(name);
    let task = UserTask::read(path).about("`task`")?;
    let text = zograd_files::read_text(path, MAX_SMALL_BYTES).about_file(path)?;
    let data = rows(asked, data, &task.prompt_fields())?;
    for split in reading.splits {
        for row in data.range(*split, 0..1).about("`data`")? {
            let row = match reading.label_optional {
                true => row.label_optional(),
                false => row,
            };
            task.check_fields(&row).about("`task`")?;
        }
    }
    Ok(Opened {
        task: Arc::new(task),
        data,
        file: Some(text),
        is_made: false,
    })
}

/// The columns of rows of which one split is wanted by its name: rows without splits are divided as they are to train.
#[must_use]
pub fn divided(columns: Columns, data: Option<&Path>) -> Columns {
    let is_whole = columns.split.is_none() && data.is_some_and(Dataset::is_one);
    let split = match is_whole {
        true => Some(Shares::default().to_string()),
        false => columns.split.clone(),
    };
    Columns { split, ..columns }
}

/// Chats are told by their fields.
fn chats(data: Dataset) -> Opened {
    Opened {
        task: Arc::new(ChatTask),
        data,
        file: None,
        is_made: false,
    }
}

/// Whether the first row there is has the fields of a chat.
///
/// # Errors
/// It cannot be read.
pub(crate) fn first_is_chat(data: &Dataset) -> Result<bool> {
    let Some(split) = data.splits().next() else {
        return Ok(false);
    };
    let rows = data.range(split, 0..1).about("`data`")?;
    Ok(rows.first().is_some_and(ChatTask::has))
}

/// A task that is made of columns.
fn made(asked: Asked<'_>, roles: Roles<'_>, data: &Path, watch: &mut dyn Watch) -> Result<Opened> {
    let columns = asked.columns;
    let data = rows(asked, data, &columns::fields(columns, roles)?)?;
    let made = columns::made(columns, roles, &data, asked.reading.label_optional)?;
    made.notes.iter().for_each(|note| watch.note(note));
    // where it is kept
    let file = Path::new("task.toml");
    let task = UserTask::parse(file, &made.text).or_input()?;
    task.notes().iter().for_each(|note| watch.note(note));
    Ok(Opened {
        task: Arc::new(task),
        data,
        file: Some(made.text),
        is_made: true,
    })
}

/// Rows that nothing is said of; of a folder the splits that are there.
///
/// # Errors
/// There are none.
pub(crate) fn rows_alone(inputs: &Inputs, columns: &Columns) -> Result<Dataset> {
    let Some(data) = &inputs.data else {
        refuse!("`data` is missing: the file or folder with the rows");
    };
    let open = |splits: &[Split]| {
        let reading = Reading {
            splits,
            label_optional: true,
        };
        let asked = Asked {
            inputs,
            columns,
            own: &[],
            reading,
        };
        rows(asked, data, &[])
    };
    let all = match (Dataset::is_one(data), &columns.split) {
        // one file as it is
        (true, None) => return open(&[Split::Train]),
        _ => open(Reading::ALL.splits),
    };
    let others = [&[Split::Train][..], &[Split::Validation]];
    all.or_else(|error| {
        others
            .into_iter()
            .find_map(|splits| open(splits).ok())
            .ok_or(error)
    })
}

/// The rows, divided by what stands in these fields if they are all in one file.
fn rows(asked: Asked<'_>, data: &Path, by: &[String]) -> Result<Dataset> {
    let shares = match &asked.columns.split {
        Some(text) => Some(text.parse::<Shares>().about("`split`")?),
        None => None,
    };
    let opening = Opening {
        splits: asked.reading.splits,
        shares,
        by,
    };
    Dataset::open_as(data, &opening).about("`data`")
}
