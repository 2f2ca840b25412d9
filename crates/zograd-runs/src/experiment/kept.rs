//! What a folder of several runs keeps of the files that say what rows are about and how chats are written: they may be
//! edited or moved before the last run is made, and all runs are to have the same.

use crate::error::{Blame, Result};
use crate::settings::is_task_file;
use crate::words::as_text;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;

/// The folder of the copies.
pub(super) const KEPT: &str = "inputs";

const TASK: &str = "task";
const CHAT_TEMPLATE: &str = "chat-template";

/// A file, as it was when the plan was made.
pub(super) struct Kept {
    key: &'static str,
    file: PathBuf,
    bytes: Vec<u8>,
}

/// The files that these settings name.
///
/// # Errors
/// One of them cannot be read.
pub(super) fn read(train: &toml::Table) -> Result<Vec<Kept>> {
    let each = files(train).map(|(key, file)| {
        let bytes = zograd_files::read(&file, MAX_SMALL_BYTES);
        let bytes = bytes.about(format!("`{key} = {}`", file.display()))?;
        Ok(Kept { key, file, bytes })
    });
    each.collect()
}

/// Writes copies of files into a folder of runs.
///
/// # Errors
/// They cannot be written.
pub(super) fn write(folder: &Path, files: &[Kept]) -> Result<()> {
    for Kept { key, file, bytes } in files {
        let copy = copy_of(folder, key, file);
        if let Some(place) = copy.parent() {
            std::fs::create_dir_all(place).on_file(place)?;
        }
        zograd_files::write(&copy, bytes).on_file(&copy)?;
    }
    Ok(())
}

/// Has settings name the copies in a folder of runs, where the files are not what they were or not where they were.
///
/// # Errors
/// A copy cannot be read.
pub(super) fn put_back(folder: &Path, train: &mut toml::Table) -> Result<()> {
    let found: Vec<_> = files(train).collect();
    for (key, file) in found {
        let copy = copy_of(folder, key, &file);
        // a folder of an older version has none
        if !zograd_files::exists(&copy) {
            continue;
        }
        let then = zograd_files::read(&copy, MAX_SMALL_BYTES).about_file(&copy)?;
        let now = zograd_files::read(&file, MAX_SMALL_BYTES);
        if now.ok() != Some(then) {
            train.insert(key.into(), as_text(&copy)?.into());
        }
    }
    Ok(())
}

/// The file of the task, if it has one.
pub(super) fn task_file(train: &toml::Table) -> Option<&str> {
    let task = train.get(TASK).and_then(toml::Value::as_str);
    task.filter(|task| is_task_file(task))
}

fn files(train: &toml::Table) -> impl Iterator<Item = (&'static str, PathBuf)> {
    let template = train.get(CHAT_TEMPLATE).and_then(toml::Value::as_str);
    let all = [(TASK, task_file(train)), (CHAT_TEMPLATE, template)];
    all.into_iter()
        .filter_map(|(key, file)| Some((key, PathBuf::from(file?))))
}

/// Under its own name, which a task may be called by.
fn copy_of(folder: &Path, key: &str, file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default();
    folder.join(KEPT).join(key).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_edited_or_has_gone_is_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let here = |name: &str| dir.path().join(name);
        let text = |name: &str| here(name).display().to_string();
        let put = |name, text| std::fs::write(here(name), text).expect("written");
        put("own.toml", "answer = \"a\"");
        put("t.jinja", "{{ messages }}");
        let mut plan = toml::Table::new();
        plan.insert("steps".into(), 3.into());
        plan.insert(TASK.into(), text("own.toml").into());
        plan.insert(CHAT_TEMPLATE.into(), text("t.jinja").into());
        write(&here("runs"), &read(&plan).expect("read")).expect("written");
        let again = || {
            let mut again = plan.clone();
            put_back(&here("runs"), &mut again).expect("read");
            again
        };
        assert_eq!(again(), plan);
        put("own.toml", "answer = \"b\"");
        std::fs::remove_file(here("t.jinja")).expect("removed");
        let again = again();
        for (key, then) in [(TASK, "answer = \"a\""), (CHAT_TEMPLATE, "{{ messages }}")] {
            let copy = again[key].as_str().expect("a path");
            assert!(Path::new(copy).starts_with(here("runs")), "{copy}");
            let found = std::fs::read_to_string(copy).expect("a copy");
            assert_eq!(found, then);
        }
        assert_eq!(again["steps"], plan["steps"]);
        // the name of a task in the program is no file
        let named = toml::Table::from_iter([(TASK.to_owned(), "sst2".into())]);
        assert!(read(&named).expect("nothing").is_empty());
        assert!(read(&plan).is_err());
    }
}
