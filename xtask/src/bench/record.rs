//! Results: named quantities of named measurements, kept between runs.

use super::machine::Machine;
use super::spread::Spread;
use crate::workspace::workspace;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One measurement: its quantities come from one run, in alternation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `topic/case`.
    pub name: String,
    /// How it was made.
    pub command: String,
    /// How often each program ran.
    pub rounds: usize,
    /// By name; the unit is the end of the name.
    pub quantities: BTreeMap<String, Spread>,
    /// Versions of the programs compared with.
    pub peers: BTreeMap<String, String>,
}

impl Record {
    pub fn new(name: impl Into<String>, rounds: usize) -> Self {
        Self {
            name: name.into(),
            command: command_line(std::env::args()),
            rounds,
            quantities: BTreeMap::new(),
            peers: BTreeMap::new(),
        }
    }

    /// Adds a quantity; one without values is left out.
    pub fn add(&mut self, name: &str, values: &[f64]) {
        if let Some(spread) = Spread::of(values) {
            self.quantities.insert(name.into(), spread);
        }
    }

    pub fn get(&self, quantity: &str) -> Option<Spread> {
        self.quantities.get(quantity).copied()
    }

    /// Notes the versions in a report of another program.
    pub fn note_versions(&mut self, report: &serde_json::Value) {
        for library in ["torch", "transformers"] {
            if let Some(version) = report[library].as_str() {
                self.peers.insert(library.into(), version.into());
            }
        }
    }

    pub fn print(&self) {
        println!("{} ({} rounds)", self.name, self.rounds);
        for (name, s) in &self.quantities {
            println!(
                "  {name:<28} {:>12.5} ({:.5} to {:.5})",
                s.median, s.min, s.max
            );
        }
    }
}

/// Everything measured on this machine so far.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    pub records: BTreeMap<String, Record>,
    #[serde(skip)]
    path: PathBuf,
}

impl Results {
    /// What earlier runs on this machine kept.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn load() -> Result<Self> {
        Self::load_from(
            workspace().join("target/bench/results.json"),
            Machine::this(),
        )
    }

    /// Nothing measured yet, and nowhere to keep it.
    #[cfg(test)]
    pub fn empty() -> Self {
        Self {
            machine: Machine::this(),
            records: BTreeMap::new(),
            path: PathBuf::new(),
        }
    }

    fn load_from(path: PathBuf, machine: Machine) -> Result<Self> {
        let records = match std::fs::read_to_string(&path) {
            Ok(text) => {
                let kept: Self = serde_json::from_str(&text)
                    .with_context(|| format!("{}: remove it", path.display()))?;
                // ratios of another machine say nothing of this one
                if kept.machine.cpu == machine.cpu && kept.machine.cores == machine.cores {
                    kept.records
                } else {
                    BTreeMap::new()
                }
            }
            Err(_) => BTreeMap::new(),
        };
        Ok(Self {
            machine,
            records,
            path,
        })
    }

    /// Keeps a record in the place of an older one of the same name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&mut self, record: Record) -> Result<()> {
        self.records.insert(record.name.clone(), record);
        let context = || self.path.display().to_string();
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).with_context(context)?;
        }
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(&self.path, text).with_context(context)
    }

    pub fn get(&self, record: &str, quantity: &str) -> Option<Spread> {
        self.records.get(record)?.get(quantity)
    }

    /// The records of a topic.
    pub fn of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Record> {
        let records = self.records.values();
        records.filter(move |r| r.name.split('/').next() == Some(topic))
    }
}

/// The command as a reader would type it: paths are cut to their last part, they differ between machines.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let last_part = |word: &str| match Path::new(word).file_name() {
        Some(name) if word.contains('/') => name.to_string_lossy().into_owned(),
        _ => word.to_owned(),
    };
    let words = arguments.skip(1).map(|argument| {
        let parts: Vec<String> = argument.split(' ').map(last_part).collect();
        match parts.len() {
            1 => parts.concat(),
            _ => format!("\"{}\"", parts.join(" ")),
        }
    });
    let words: Vec<String> = ["cargo".to_owned(), "xtask".to_owned()]
        .into_iter()
        .chain(words)
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_lose_their_paths() {
        let words = [
            "target/release/xtask",
            "bench",
            "--peer",
            "/a/b/python /c/peer.py -x",
        ];
        assert_eq!(
            command_line(words.iter().map(|w| w.to_string())),
            "cargo xtask bench --peer \"python peer.py -x\""
        );
    }

    #[test]
    fn records_are_kept_for_the_same_machine_only() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("bench/results.json");
        let machine = Machine::this();
        let load = |machine| Results::load_from(path.clone(), machine).expect("readable");
        let mut results = load(machine.clone());
        let mut record = Record::new("noise/weights", 2);
        record.add("normals_per_s", &[1.0, 2.0]);
        record.add("nothing_s", &[]);
        results.keep(record.clone()).expect("written");

        let again = load(machine.clone());
        assert_eq!(again.of("noise").collect::<Vec<_>>(), [&record]);
        assert_eq!(again.of("step").count(), 0);
        let median = again
            .get("noise/weights", "normals_per_s")
            .map(|s| s.median);
        assert_eq!(median, Some(2.0));
        assert_eq!(again.get("noise/weights", "nothing_s"), None);

        let other = Machine {
            cores: machine.cores + 1,
            ..machine
        };
        assert!(load(other).records.is_empty());
    }
}
