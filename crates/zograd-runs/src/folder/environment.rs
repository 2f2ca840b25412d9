//! `environment.json`: what a run ran on. A list: a run resumed elsewhere has more than one.

use crate::error::{Blame, Result};
use crate::words::count;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;
use zograd_files::MAX_SMALL_BYTES;

/// Name of the file in a run folder.
const FILE: &str = "environment.json";

/// Program, machine and number format of a run, from one of its steps on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The first step that ran here, counted from 0.
    pub from_step: u64,
    /// Version of zograd.
    pub zograd: String,
    /// The operating system.
    pub os: String,
    /// The instruction set, such as `x86_64`.
    pub arch: String,
    /// The processor's name, where the system tells.
    pub cpu: Option<String>,
    /// Logical processors of the machine.
    pub cores: Option<usize>,
    /// CPU threads that were used.
    pub threads: usize,
    /// Main memory in bytes, where the system tells.
    pub memory_bytes: Option<u64>,
    /// Where tensors were computed with.
    pub backend: String,
    /// How the weights were stored.
    pub dtype: String,
}

impl Environment {
    /// This process, for a run that begins or resumes after `from_step` steps.
    pub fn here(from_step: u64, backend: String, dtype: String) -> Self {
        Self {
            from_step,
            zograd: env!("CARGO_PKG_VERSION").into(),
            os: system(),
            arch: std::env::consts::ARCH.into(),
            cpu: proc_field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            threads: rayon::current_num_threads(),
            memory_bytes: proc_field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok())
                .map(|kib| kib << 10),
            backend,
            dtype,
        }
    }

    /// Adds this environment to those of the run in `folder`, if it is another than the last.
    ///
    /// # Errors
    /// A file that [`Self::all`] refuses, or one that cannot be written.
    pub fn record(self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let mut all = Self::all(folder)?;
        // what ran behind the last whole step was cut off
        all.retain(|known| known.from_step <= self.from_step);
        match all.last() {
            Some(last) if last.same_place(&self) => {}
            _ => all.push(self),
        }
        let text = serde_json::to_string_pretty(&all).while_running()? + "\n";
        zograd_files::write(&path, text).on_file(&path)
    }

    /// Whether both are the same in all but when it began.
    pub fn same_place(&self, other: &Self) -> bool {
        let from_step = self.from_step;
        *self
            == Self {
                from_step,
                ..other.clone()
            }
    }

    /// Names and values for people.
    pub fn in_words(&self) -> Vec<(&'static str, String)> {
        let unknown = || "unknown".to_string();
        let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
        let cores = self.cores.map_or_else(unknown, |n| n.to_string());
        vec![
            ("zograd", self.zograd.clone()),
            ("system", format!("{}, {}", self.os, self.arch)),
            ("processor", self.cpu.clone().unwrap_or_else(unknown)),
            (
                "logical processors",
                format!("{cores}, {} used", count(self.threads, "thread")),
            ),
            ("memory", self.memory_bytes.map_or_else(unknown, gib)),
            ("backend", self.backend.clone()),
            ("weights", self.dtype.clone()),
        ]
    }

    /// The environments of the run in `folder`, the first first; none if none is recorded: a run may be killed between its
    /// log and this.
    ///
    /// # Errors
    /// What is there is no file that can be read, or no such list.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let path = folder.join(FILE);
        match zograd_files::read_text(&path, MAX_SMALL_BYTES) {
            Ok(text) => serde_json::from_str(&text).about_file(&path),
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
                Ok(Vec::new())
            }
            Err(error) => Err(error).about_file(&path),
        }
    }

    /// As [`Self::all`], for a reader who can do without: none if they cannot be read.
    pub fn read(folder: &Path) -> Vec<Self> {
        Self::all(folder).unwrap_or_default()
    }
}

/// The operating system in words.
fn system() -> String {
    let text =
        zograd_files::read_text(Path::new("/etc/os-release"), MAX_SMALL_BYTES).unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_string());
    name.unwrap_or_else(|| std::env::consts::OS.into())
}

/// The value of the first line `NAME : VALUE` of a file under `/proc`.
fn proc_field(file: &str, name: &str) -> Option<String> {
    let text = zograd_files::read_text(Path::new(file), MAX_SMALL_BYTES).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_moves_to_another_machine_has_two_environments() {
        let dir = tempfile::tempdir().expect("a folder");
        let here = |from| Environment::here(from, "flex".into(), "f16".into());
        let elsewhere = |from| Environment {
            cpu: Some("another".into()),
            ..here(from)
        };
        for environment in [here(0), here(7), elsewhere(9)] {
            environment.record(dir.path()).expect("written");
        }
        assert_eq!(Environment::read(dir.path()), [here(0), elsewhere(9)]);
        // resumed from before step 9
        here(8).record(dir.path()).expect("written");
        assert_eq!(Environment::read(dir.path()), [here(0)]);
    }
}
