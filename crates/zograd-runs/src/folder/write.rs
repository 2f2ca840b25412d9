//! Writing the folder of a run.

use crate::error::{Blame, Result, refuse};
use crate::words::as_text;
use serde::Serialize;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::beginning::{clear, is_free};
use super::files::{ANCHOR, BEST, CHAT_TEMPLATE, CONFIG, EXAMPLES, LOG, METRICS, SEALS, SUMMARY};
use super::lock::Lock;
use super::metrics::Chain;
use super::origin::Origin;
use super::read::MAX_METRICS_BYTES;
use super::whole_steps::Interrupted;

/// A folder that a run writes into.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    seals: File,
    chain: Chain,
    /// No other process writes here.
    _lock: Lock,
}

/// A folder that belongs to this process and has nothing in it yet.
#[derive(Debug)]
pub struct Claimed {
    /// Where it is.
    pub path: PathBuf,
    /// What keeps others out.
    pub lock: Lock,
}

impl RunFolder {
    /// Refuses a folder that has something in it: nothing is ever written over, but what a run has left that was killed
    /// before it had begun.
    ///
    /// # Errors
    /// It exists and is no such folder, or its name is no UTF-8, which no summary could hold.
    pub fn check(path: &Path) -> Result<()> {
        as_text(path).about("`out`")?;
        if path.as_os_str().is_empty() {
            refuse!("`out`: the name of the folder is empty");
        }
        match is_free(path) {
            Ok(true) => Ok(()),
            Ok(false) => refuse!(
                "`out = {}`: the folder is not empty; name a new one, or remove it",
                path.display()
            ),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e).about(format!("`out = {}`", path.display())),
        }
    }

    /// Makes this folder, unless there is one with nothing in it, and takes it.
    ///
    /// # Errors
    /// As [`Self::check`], another process has it, or it cannot be made.
    pub fn claim(path: PathBuf) -> Result<Claimed> {
        let named = || format!("`out = {}`", path.display());
        Self::check(&path)?;
        std::fs::create_dir_all(&path).about(named())?;
        let lock = Lock::take(&path).about(named())?;
        // another process may have come and gone in between
        Self::check(&path)?;
        clear(&path).about(named())?;
        Ok(Claimed { path, lock })
    }

    /// Makes and takes the first of `runs/NAME`, `runs/NAME-2`, `runs/NAME-3` .. that does not exist. Of processes that
    /// do so at the same time each gets its own. Control characters of the name become `_`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn claim_free(name: &str) -> Result<Claimed> {
        let runs = Path::new("runs");
        // a name from a file may hold what does something to a terminal
        let plain = |c: char| if c.is_control() { '_' } else { c };
        let name: String = name.chars().map(plain).collect();
        let mut number = 1u64;
        loop {
            let path = runs.join(match number {
                1 => name.clone(),
                k => format!("{name}-{k}"),
            });
            if let Some(above) = path.parent() {
                std::fs::create_dir_all(above).about_file(above)?;
            }
            // makes the folder or says that it is there, in one step
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    let lock = Lock::take(&path)?;
                    return Ok(Claimed { path, lock });
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(e).about_file(&path),
            }
        }
    }

    /// Writes the `config.toml`, `examples.json` and `inputs.json` of a run that begins in this folder, and a copy of the chat
    /// template that was given, if one was.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(
        claimed: Claimed,
        (config, chat_template): (&str, Option<&str>),
        examples: &impl Serialize,
        origin: &Origin,
    ) -> Result<Self> {
        let Claimed { path, lock } = claimed;
        let write = |name: &str, text: String| {
            let file = path.join(name);
            zograd_files::write(&file, text).on_file(&file)
        };
        write(CONFIG, config.into())?;
        if let Some(template) = chat_template {
            write(CHAT_TEMPLATE, template.into())?;
        }
        write(
            EXAMPLES,
            serde_json::to_string(examples).while_running()? + "\n",
        )?;
        origin.write(&path)?;
        let (metrics, seals) = (path.join(METRICS), path.join(SEALS));
        Ok(Self {
            seals: File::create_new(&seals).on_file(&seals)?,
            metrics: File::create_new(&metrics).on_file(&metrics)?,
            chain: Chain::default(),
            path,
            _lock: lock,
        })
    }

    /// Resumes in a folder: the metrics of the whole steps are kept. What the run summed up when it was interrupted is
    /// removed, because it is no longer true; if the run is to be longer, its files say so from here on.
    ///
    /// # Errors
    /// A file that is written into is a link, or cannot be opened or cut.
    pub fn resume(claimed: Claimed, run: &Interrupted) -> Result<Self> {
        let Claimed { path, lock } = claimed;
        // refused before anything is changed
        let open = |name| {
            let file = path.join(name);
            zograd_files::open_or_create(&file).about_file(&file)
        };
        let (mut metrics, mut seals) = (open(METRICS)?, open(SEALS)?);
        let summary = path.join(SUMMARY);
        match std::fs::remove_file(&summary) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e).on_file(&summary),
            _ => {}
        }
        run.lengthen()?;
        let sealed = run.metrics_lines() * Chain::BYTES;
        let all = zograd_files::read(&path.join(SEALS), MAX_METRICS_BYTES).unwrap_or_default();
        let chain = Chain::after(all.get(..sealed as usize).unwrap_or_default());
        cut(&mut metrics, run.metrics_bytes).on_file(&path.join(METRICS))?;
        cut(&mut seals, sealed).on_file(&path.join(SEALS))?;
        Ok(Self {
            metrics,
            seals,
            chain,
            path,
            _lock: lock,
        })
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
        written.on_file(&self.path.join(METRICS))?;
        let written = self.seals.write_all(self.chain.seal(&line).as_bytes());
        written.on_file(&self.path.join(SEALS))
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

/// Keeps the first `bytes` bytes of a file that is to be appended to.
fn cut(file: &mut File, bytes: u64) -> std::io::Result<()> {
    file.set_len(bytes)?;
    file.seek(SeekFrom::End(0)).map(drop)
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

    #[test]
    fn a_folder_belongs_to_one_process_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let claimed = RunFolder::claim(dir.path().to_owned()).expect("free");
        let error = Lock::take(dir.path()).expect_err("taken").to_string();
        assert!(error.contains("another process"), "{error}");
        drop(claimed);
        // what was taken and not written into is still free
        RunFolder::claim(dir.path().to_owned()).expect("free again");
    }
}
