//! What a run was made of: `inputs.json` in its folder. A resumed run must be made of the same.

use super::files::{CONFIG, EXAMPLES, INPUTS};
use super::hash::Hash;
use crate::error::{Blame, Result, refuse};
use serde::{Deserialize, Serialize};
use std::path::Path;
use zograd_files::MAX_SMALL_BYTES;

/// The largest file that is hashed: a hundred million rows.
const MAX_BYTES: u64 = 1 << 30;

/// Hashes of everything beside the weights that the numbers of a run depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The model's config.json, as it is understood, and what ends a text by its generation_config.json.
    pub model: String,
    /// The file of the task, or the name of a built-in one.
    pub task: String,
    /// The tokenizer's files.
    pub tokenizer: String,
    /// The rows, as the task reads them.
    pub rows: String,
    /// What is made of all these: the prompts.
    pub prompts: String,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    origin: Origin,
    /// Hash of the settings as they were written.
    config: String,
    /// That of the settings before, while they are being replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_before: Option<String>,
    /// Hash of the list of rows as it was written.
    examples: String,
    /// Hash of all of the above.
    seal: String,
}

impl Sealed {
    /// Reads the file.
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(INPUTS);
        let text = zograd_files::read_text(&path, MAX_SMALL_BYTES).about_file(&path)?;
        serde_json::from_str(&text).about_file(&path)
    }

    /// Writes the file, sealed.
    fn write(mut self, folder: &Path) -> Result<()> {
        let path = folder.join(INPUTS);
        self.seal = self.own_seal();
        let text = serde_json::to_string(&self).while_running()? + "\n";
        zograd_files::write(&path, text).on_file(&path)
    }

    fn own_seal(&self) -> String {
        let Origin {
            model,
            task,
            tokenizer,
            rows,
            prompts,
        } = &self.origin;
        let mut hash = Hash::new();
        for part in [model, task, tokenizer, rows, prompts] {
            hash.part(part.as_bytes());
        }
        hash.part(self.config.as_bytes());
        hash.part(self.examples.as_bytes());
        if let Some(before) = &self.config_before {
            hash.part(before.as_bytes());
        }
        hash.short()
    }
}

impl Origin {
    /// Writes the file; the settings and the list of rows are there already.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let sealed = Sealed {
            origin: self.clone(),
            config: hash_of(folder, CONFIG).while_running()?,
            config_before: None,
            examples: hash_of(folder, EXAMPLES).while_running()?,
            seal: String::new(),
        };
        sealed.write(folder)
    }

    /// Replaces the settings of a run, and between both the log, by `log`: at every moment the settings are those before
    /// or those after, and the file says that both are right.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn lengthen(
        folder: &Path,
        config: &str,
        log: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut sealed = Sealed::read(folder).while_running()?;
        sealed.config_before = Some(hash_of(folder, CONFIG).while_running()?);
        sealed.config = hash_bytes(config.as_bytes());
        sealed.write(folder)?;
        log()?;
        let path = folder.join(CONFIG);
        zograd_files::write(&path, config).on_file(&path)?;
        let mut sealed = Sealed::read(folder).while_running()?;
        sealed.config_before = None;
        sealed.write(folder)
    }

    /// Reads the file, and compares the settings and the list of rows with what was written.
    ///
    /// # Errors
    /// One of the three was changed.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let sealed = Sealed::read(folder)?;
        if sealed.seal != sealed.own_seal() {
            refuse!("{INPUTS} is not as the run wrote it; put it back as it was");
        }
        for (file, hash) in [(CONFIG, &sealed.config), (EXAMPLES, &sealed.examples)] {
            let found = hash_of(folder, file)?;
            let before = sealed.config_before.as_ref();
            if found != *hash && !(file == CONFIG && before == Some(&found)) {
                refuse!(
                    "{file} is not as the run wrote it; put it back as it was, or begin a new run with `config`"
                );
            }
        }
        Ok(sealed.origin)
    }

    /// Refuses inputs that are not those the run began with.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self, now: &Self) -> Result<()> {
        let all = [
            ("`task`: the task's file is", &self.task, &now.task),
            (
                "`tokenizer`: the tokenizer's files are",
                &self.tokenizer,
                &now.tokenizer,
            ),
            ("`data`: the rows are", &self.rows, &now.rows),
            (
                "`model`: its config.json or generation_config.json is",
                &self.model,
                &now.model,
            ),
            ("the prompts are", &self.prompts, &now.prompts),
        ];
        match all.into_iter().find(|(_, then, now)| then != now) {
            None => Ok(()),
            Some((what, ..)) => refuse!(
                "{what} not what the run began with; a run is resumed with the same (where they have moved, say \
                 where they are with `model`, `tokenizer`, `task` or `data`)"
            ),
        }
    }
}

fn hash_of(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    let bytes = zograd_files::read(&path, MAX_BYTES).about_file(&path)?;
    Ok(hash_bytes(&bytes))
}

fn hash_bytes(bytes: &[u8]) -> String {
    let mut hash = Hash::new();
    hash.part(bytes);
    hash.short()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kill, or a full disk, between the files of a run that is made longer.
    #[test]
    fn half_of_it_can_be_done_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |name, text: &str| zograd_files::write(&dir.path().join(name), text);
        let config =
            || zograd_files::read_text(&dir.path().join(CONFIG), 99).expect("the settings");
        put(CONFIG, "steps = 1").expect("written");
        put(EXAMPLES, "[]").expect("written");
        let origin = Origin {
            model: "m".into(),
            ..Origin::default()
        };
        origin.write(dir.path()).expect("written");
        let longer = |log: Result<()>| Origin::lengthen(dir.path(), "steps = 2", || log);
        longer(Err(crate::RunError::running("full"))).expect_err("not to its end");
        assert_eq!(config(), "steps = 1");
        assert_eq!(Origin::read(dir.path()).expect("as it was"), origin);
        longer(Ok(())).expect("to its end");
        assert_eq!(config(), "steps = 2");
        assert_eq!(Origin::read(dir.path()).expect("as it is"), origin);
        for edited in ["steps = 1", "steps = 3"] {
            put(CONFIG, edited).expect("written");
            assert!(Origin::read(dir.path()).is_err(), "{edited}");
        }
    }
}
