//! Writing the folder of a run.

use crate::error::{Blame, Result, refuse};
use serde::Serialize;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::files::{ANCHOR, BEST, CONFIG, EXAMPLES, LOG, METRICS, SUMMARY};

/// A folder that a run writes into.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Refuses a folder that has something in it: nothing is ever written over.
    ///
    /// # Errors
    /// It exists and is not an empty folder.
    pub fn check(path: &Path) -> Result<()> {
        match std::fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    refuse!(
                        "`out = {}`: the folder is not empty; name a new one, or remove it",
                        path.display()
                    );
                }
                Ok(())
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e).about(format!("`out = {}`", path.display())),
        }
    }

    /// The first of `runs/NAME`, `runs/NAME-2`, `runs/NAME-3` .. that does not exist.
    pub fn free(name: &str) -> PathBuf {
        let numbered = |k| match k {
            1 => format!("runs/{name}"),
            k => format!("runs/{name}-{k}"),
        };
        let mut paths = (1u64..).map(|k| PathBuf::from(numbered(k)));
        paths
            .find(|path| !path.exists())
            .unwrap_or_else(|| PathBuf::from("runs").join(name))
    }

    /// Creates the folder and writes its `config.toml` and `examples.json`.
    ///
    /// # Errors
    /// As [`Self::check`], or the folder cannot be written.
    pub fn create(path: PathBuf, config: &str, examples: &impl Serialize) -> Result<Self> {
        Self::check(&path)?;
        std::fs::create_dir_all(&path).about(format!("`out = {}`", path.display()))?;
        let write = |name: &str, text: String| {
            let file = path.join(name);
            zograd_files::write(&file, text).on_file(&file)
        };
        write(CONFIG, config.into())?;
        write(
            EXAMPLES,
            serde_json::to_string(examples).while_running()? + "\n",
        )?;
        let metrics = path.join(METRICS);
        let metrics = File::create(&metrics).on_file(&metrics)?;
        Ok(Self { metrics, path })
    }

    /// Resumes in a folder: the first `bytes` bytes of its metrics are kept.
    ///
    /// # Errors
    /// The metrics cannot be opened or cut.
    pub fn resume(path: PathBuf, bytes: u64) -> Result<Self> {
        let file = path.join(METRICS);
        let open = || {
            let mut metrics = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&file)?;
            metrics.set_len(bytes)?;
            metrics.seek(SeekFrom::End(0))?;
            std::io::Result::Ok(metrics)
        };
        let metrics = open().on_file(&file)?;
        Ok(Self { metrics, path })
    }

    /// Where the trajectory log is.
    pub fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Where the f32 originals of anchored weights are.
    pub fn anchor(&self) -> PathBuf {
        self.path.join(ANCHOR)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the best weights are.
    pub fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// Appends one line to `metrics.jsonl` and hands it to the system.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record(&mut self, kind: &str, record: &impl Serialize) -> Result<()> {
        #[derive(Serialize)]
        struct Line<'a, T> {
            kind: &'a str,
            #[serde(flatten)]
            record: &'a T,
        }
        let mut line = serde_json::to_vec(&Line { kind, record }).while_running()?;
        line.push(b'\n');
        let written = self.metrics.write_all(&line);
        written.on_file(&self.path.join(METRICS))
    }

    /// Writes `summary.json`, after the metrics are on the disk: what it sums up is there.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn summarise(&self, summary: &impl Serialize) -> Result<()> {
        let synced = self.metrics.sync_data();
        synced.on_file(&self.path.join(METRICS))?;
        let path = self.path.join(SUMMARY);
        let text = serde_json::to_string_pretty(summary).while_running()? + "\n";
        zograd_files::write(&path, text).on_file(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(RunFolder::check(&dir.path().join("new")).is_ok());
        assert!(RunFolder::check(dir.path()).is_ok());
        std::fs::write(dir.path().join("precious"), "x").expect("a file");
        let error = RunFolder::check(dir.path())
            .expect_err("refused")
            .to_string();
        assert!(
            error.starts_with("`out = ") && error.contains("not empty"),
            "{error}"
        );
    }
}
