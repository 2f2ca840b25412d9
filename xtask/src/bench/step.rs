//! Whole steps, ours and a peer's in alternation.

use super::program::{Programs, number, peer};
use super::record::Record;
use super::{Arguments, Sink};
use crate::workspace::workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a step sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Real batches from the file of `--batches`, another one each round.
    Real,
    /// 16 sequences of this length.
    Dense(usize),
}

/// One comparison.
struct Case {
    input: Input,
    method: &'static str,
    /// Arguments of the peer for this method.
    peer_method: &'static [&'static str],
    /// In what the peer computes; we compute in f32.
    dtype: &'static str,
}

impl Case {
    fn name(&self) -> String {
        let input = match self.input {
            Input::Real => "sst2".to_owned(),
            Input::Dense(length) => format!("16x{length}"),
        };
        format!("step/{input}-{}-vs-{}", self.method, self.dtype)
    }
}

const METHODS: [(&str, &[&str]); 3] = [
    ("mezo", &["--method", "mezo"]),
    ("gv4", &["--method", "gv4"]),
    ("greedy4", &["--method", "greedy", "--pool", "4"]),
];

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (input, dtypes) in [
        (Input::Real, &["f32"][..]),
        (Input::Dense(64), &["f32", "bf16"]),
        (Input::Dense(256), &["f32", "bf16"]),
    ] {
        for (method, peer_method) in METHODS {
            cases.extend(dtypes.iter().map(|dtype| Case {
                input,
                method,
                peer_method,
                dtype,
            }));
        }
    }
    cases
}

pub fn measure(programs: &Programs, arguments: &Arguments, sink: &mut Sink<'_>) -> Result<()> {
    for case in cases() {
        let name = case.name();
        // without a peer the type it computes in means nothing
        let needless = arguments.peer.is_none() && case.dtype != "f32";
        if !arguments.wants(&name) || needless {
            continue;
        }
        let real = match (case.input, &arguments.batches) {
            (Input::Real, None) => continue,
            (Input::Real, Some(file)) => Some(Rotation::read(file)?),
            (Input::Dense(_), _) => None,
        };
        sink(compare(programs, arguments, &case, real.as_ref())?)?;
    }
    Ok(())
}

fn compare(
    programs: &Programs,
    arguments: &Arguments,
    case: &Case,
    real: Option<&Rotation>,
) -> Result<Record> {
    let name = case.name();
    let mut record = Record::new(&name, arguments.rounds);
    let (mut ours, mut theirs, mut speedups) = (Vec::new(), Vec::new(), Vec::new());
    let (mut memory, mut peer_memory, mut forwards) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        let mut words = vec!["--threads".to_owned(), arguments.threads.to_string()];
        words.extend(["--warmup", "1", "--steps", "1"].map(String::from));
        match (case.input, real) {
            (Input::Dense(length), _) => {
                let length = length.to_string();
                words.extend(["--batch", "16", "--seq", &length].map(String::from));
            }
            (Input::Real, Some(rotation)) => {
                words.extend([
                    "--batches".into(),
                    rotation.write(round)?.display().to_string(),
                ]);
            }
            (Input::Real, None) => {}
        }
        let mut mine = vec!["step".to_owned(), "--method".into(), case.method.into()];
        mine.extend(words.clone());
        let report = programs.measure(&mine)?;
        let seconds = number(&report, "step_s_median")?;
        ours.push(seconds);
        forwards.push(number(&report, "forward_s_median")? / seconds);
        memory.extend(number(&report, "peak_rss_mib"));
        eprint!(
            "{name}: round {} of {}: {seconds:.3} s",
            round + 1,
            arguments.rounds
        );
        if let Some(line) = &arguments.peer {
            words.extend(["--model-config", "opt-125m", "--dtype", case.dtype].map(String::from));
            words.extend(case.peer_method.iter().map(|word| word.to_string()));
            let report = peer(line, &words)?;
            let peer_seconds = number(&report, "step_s_median")?;
            eprint!(", peer {peer_seconds:.3} s");
            theirs.push(peer_seconds);
            speedups.push(peer_seconds / seconds);
            peer_memory.extend(number(&report, "peak_rss_mib"));
            record.note_versions(&report);
        }
        eprintln!();
    }
    for (name, values) in [
        ("zograd_s", ours),
        ("peer_s", theirs),
        ("speedup", speedups),
        ("forward_share", forwards),
        ("zograd_peak_mib", memory),
        ("peer_peak_mib", peer_memory),
    ] {
        record.add(name, &values);
    }
    Ok(record)
}

/// The batches of a file, beginning with another one each round: a step is slow, so a round times one batch, and
/// the rounds together all of them.
struct Rotation {
    batches: Vec<Value>,
    path: PathBuf,
}

impl Rotation {
    fn read(file: &Path) -> Result<Self> {
        let context = || format!("--batches {}", file.display());
        let text = std::fs::read_to_string(file).with_context(context)?;
        Ok(Self {
            batches: serde_json::from_str(&text).with_context(context)?,
            path: workspace().join("target/bench/batches.json"),
        })
    }

    /// Writes the file of one round.
    fn write(&self, round: usize) -> Result<PathBuf> {
        let batches = rotated(&self.batches, round);
        let context = || self.path.display().to_string();
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).with_context(context)?;
        }
        std::fs::write(&self.path, serde_json::to_string(&batches)?).with_context(context)?;
        Ok(self.path.clone())
    }
}

fn rotated<T: Clone>(list: &[T], by: usize) -> Vec<T> {
    let mut list = list.to_vec();
    if !list.is_empty() {
        let by = by % list.len();
        list.rotate_left(by);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_comparison_has_its_own_name() {
        let mut names: Vec<String> = cases().iter().map(Case::name).collect();
        assert!(names.contains(&"step/sst2-gv4-vs-f32".to_owned()));
        assert!(names.contains(&"step/16x64-mezo-vs-bf16".to_owned()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn rounds_begin_with_another_batch() {
        assert_eq!(rotated(&[1, 2, 3], 0), [1, 2, 3]);
        assert_eq!(rotated(&[1, 2, 3], 4), [2, 3, 1]);
        assert!(rotated::<u8>(&[], 4).is_empty());
    }
}
