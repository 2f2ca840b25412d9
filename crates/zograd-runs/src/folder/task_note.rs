//! What weights were tuned for: `zograd.toml` in their folder, with the task and the lengths of prompts, and beside it
//! `task.toml`, where the task is not built in, and `chat_template.jinja`, where a template was given. Whoever uses the weights
//! need not say it again.

use super::files::CHAT_TEMPLATE;
use crate::error::{Blame, Result, refuse};
use crate::settings::{Given, Inputs, Keys};
use std::path::Path;
use zograd_files::MAX_SMALL_BYTES;

/// The file.
const NOTE: &str = "zograd.toml";

/// The task's file beside it.
const TASK: &str = "task.toml";

/// The settings that it may hold.
const KEYS: [&str; 5] = [
    "task",
    "chat-template",
    "bos-id",
    "max-length",
    "max-new-tokens",
];

/// What weights were tuned for.
#[derive(Clone, Debug, Default)]
pub struct TaskNote {
    /// The task's name, and the lengths of prompts.
    given: Given,
    /// The task's file, where it has one.
    file: Option<String>,
    /// The chat template, where one was given.
    template: Option<String>,
}

impl TaskNote {
    /// Of a run with these inputs, whose task is called `name`, and is described in a file with this text, if in one. The text
    /// of the chat template that was given is the last of the three.
    pub fn new(
        inputs: &Inputs,
        name: &str,
        (file, template): (Option<&str>, Option<&str>),
    ) -> Self {
        let number = |n: Option<usize>| n.and_then(|n| i64::try_from(n).ok());
        let given = Given::new()
            .with_some("chat-template", template.map(|_| CHAT_TEMPLATE))
            .with("task", if file.is_some() { TASK } else { name })
            .with_some("bos-id", inputs.bos_id.map(i64::from))
            .with_some("max-length", number(inputs.max_length))
            .with_some("max-new-tokens", number(inputs.max_new_tokens));
        // a file that does not name its task is named after itself, which it is not here
        let is_named = |text: &str| {
            let table = text.parse::<toml::Table>();
            table.is_ok_and(|table| table.contains_key("name"))
        };
        let file = file.map(|text| match is_named(text) {
            true => text.to_owned(),
            false => format!("name = {}\n{text}", toml::Value::from(name)),
        });
        Self {
            given,
            file,
            template: template.map(str::to_owned),
        }
    }

    /// Writes the files.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            zograd_files::write(&path, text).on_file(&path)
        };
        if let Some(file) = &self.file {
            write(TASK, file)?;
        }
        if let Some(template) = &self.template {
            write(CHAT_TEMPLATE, template)?;
        }
        write(NOTE, &self.given.to_string())
    }

    /// Copies what one folder says into another; nothing, if it says nothing.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn carry(from: &Path, to: &Path) -> Result<()> {
        // says no more than one may say
        Self::read(from)?;
        for name in [NOTE, TASK, CHAT_TEMPLATE] {
            let (from, to) = (from.join(name), to.join(name));
            if from.is_symlink() {
                refuse!(
                    "{}: it is a link; what goes with weights is in their own folder",
                    from.display()
                );
            }
            if zograd_files::exists(&from) {
                let text = zograd_files::read_text(&from, MAX_SMALL_BYTES).about_file(&from)?;
                zograd_files::write(&to, text).on_file(&to)?;
            }
        }
        Ok(())
    }

    /// What a folder says as settings; the files beside it with their whole paths. None if it says nothing.
    ///
    /// # Errors
    /// A file that is not as it was written.
    pub fn read(folder: &Path) -> Result<Option<Given>> {
        let path = folder.join(NOTE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = zograd_files::read_text(&path, MAX_SMALL_BYTES).about_file(&path)?;
        let given = Given::parse(&text, &Keys::default().and::<Inputs>()).about_file(&path)?;
        if let Err(key) = given.only(&KEYS) {
            refuse!("{}: \"{key}\" does not belong there", path.display());
        }
        let mut known = given;
        for (key, own) in [("task", TASK), ("chat-template", CHAT_TEMPLATE)] {
            let file = folder.join(own);
            known = match (known.text(key), file.to_str()) {
                (Some(said), Some(file)) if said == own => known.with(key, file),
                // whose folder it is may not be known: it names no other file of this machine
                (Some(said), _) if key == "chat-template" || is_path(said) => refuse!(
                    "{}: {key} = \"{said}\": it may only be {own}, the file beside it",
                    path.display()
                ),
                _ => known,
            };
        }
        Ok(Some(known))
    }
}

/// Whether a task is named by a file.
fn is_path(task: &str) -> bool {
    task.contains(['/', '\\']) || task.ends_with(".toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder from elsewhere does not have files read that lie elsewhere, nor copied.
    #[test]
    fn a_folder_names_its_own_files_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for folder in [&from, &to] {
            std::fs::create_dir(folder).expect("made");
        }
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "of mine").expect("written");
        let secret = secret.to_str().expect("a name");
        for said in [
            format!("chat-template = {secret:?}"),
            "chat-template = \"../secret\"".into(),
            format!("task = {secret:?}"),
            "task = \"secret.toml\"".into(),
        ] {
            std::fs::write(from.join(NOTE), &said).expect("written");
            let error = TaskNote::read(&from).expect_err(&said).to_string();
            assert!(error.contains("the file beside it"), "{error}");
            assert!(TaskNote::carry(&from, &to).is_err(), "{said}");
        }
        std::fs::write(from.join(NOTE), "task = \"sst2\"").expect("written");
        let given = TaskNote::read(&from).expect("read").expect("it says one");
        assert_eq!(given.text("task"), Some("sst2"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(secret, from.join(CHAT_TEMPLATE)).expect("a link");
            let error = TaskNote::carry(&from, &to).expect_err("a link").to_string();
            assert!(error.contains("it is a link"), "{error}");
        }
    }

    /// Beside weights every task's file is called task.toml.
    #[test]
    fn a_copied_file_keeps_the_name_of_its_task() {
        let note = |text: &str| {
            let note = TaskNote::new(&Inputs::default(), "mine", (Some(text), None));
            note.file.expect("a file")
        };
        let given = "template = \"{x}\"\n";
        assert_eq!(note(given), format!("name = \"mine\"\n{given}"));
        let named = "name = \"other\"\n";
        assert_eq!(note(named), named);
    }
}
