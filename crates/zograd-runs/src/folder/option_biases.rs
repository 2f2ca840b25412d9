//! What is added to the scores of a task's options, beside weights that have no place for it: `option-biases.json` in
//! their folder.

use crate::error::{Blame, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use zograd_files::MAX_SMALL_BYTES;

/// The file.
const FILE: &str = "option-biases.json";

/// What is added to the scores of the options of a task, by their places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionBiases {
    /// The task's name.
    pub(crate) task: String,
    /// A number for each option.
    pub(crate) option_biases: Vec<f64>,
}

impl OptionBiases {
    /// Writes them into the folder of weights, or removes the file where there are none.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        if self.option_biases.is_empty() {
            return zograd_files::remove(&path).on_file(&path);
        }
        let text = serde_json::to_string_pretty(self).while_running()? + "\n";
        zograd_files::write(&path, &text).on_file(&path)
    }

    /// Copies those of one folder of weights into another, if it has any.
    ///
    /// # Errors
    /// A file that is not as it was written, or cannot be.
    pub(crate) fn carry(from: &Path, to: &Path) -> Result<()> {
        Self::read(from)?.map_or(Ok(()), |biases| biases.write(to))
    }

    /// Whether a folder of weights has such beside it.
    pub(crate) fn lie_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// What the folder of weights says of this task; nothing if it says nothing of it.
    ///
    /// # Errors
    /// A file that is not as it was written.
    pub(crate) fn of(folder: &Path, task: &str) -> Result<Vec<f64>> {
        let found = Self::read(folder)?.filter(|found| found.task == task);
        Ok(found.map_or_else(Vec::new, |found| found.option_biases))
    }

    fn read(folder: &Path) -> Result<Option<Self>> {
        if !Self::lie_in(folder) {
            return Ok(None);
        }
        let path = folder.join(FILE);
        let text = zograd_files::read_text(&path, MAX_SMALL_BYTES).about_file(&path)?;
        serde_json::from_str(&text).about_file(&path).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_those_of_their_task() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |task: &str| OptionBiases::of(folder.path(), task);
        assert!(of("sst2").expect("nothing").is_empty());
        let mut biases = OptionBiases {
            task: "sst2".into(),
            option_biases: vec![0.1 + 0.2, -1.0],
        };
        biases.write(folder.path()).expect("written");
        assert_eq!(of("sst2").expect("whole"), biases.option_biases);
        assert!(of("rte").expect("of another task").is_empty());
        std::fs::write(
            folder.path().join(FILE),
            r#"{"task": "sst2", "option_biases": [1e999]}"#,
        )
        .expect("written");
        let error = of("sst2").expect_err("no number").to_string();
        assert!(error.contains(FILE), "{error}");
        biases.option_biases.clear();
        biases.write(folder.path()).expect("removed");
        assert!(of("sst2").expect("nothing").is_empty());
    }
}
