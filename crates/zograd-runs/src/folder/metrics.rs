//! The lines of `metrics.jsonl`, and what seals them.
//!
//! Beside the metrics lies a file with a hash for every line, each over the line and the hash before it. A run is
//! resumed from its metrics: a line that was damaged or edited, and all that follow it, are computed again.

use super::hash::Hash;
use serde::Deserialize;
use zograd_trainer::{EvalRecord, StepRecord};

/// One line.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// After a step.
    Step(StepRecord),
    /// After an evaluation.
    Eval(EvalLine),
}

/// What is written of an evaluation.
#[derive(Deserialize)]
pub struct EvalLine {
    /// What came out of it.
    #[serde(flatten)]
    pub record: EvalRecord,
    /// What the folder of the best weights held, if these were the best.
    #[serde(default)]
    pub best_hash: Option<String>,
}

/// The whole lines with their lengths in bytes, up to the first that is torn or damaged.
pub fn lines(metrics: &[u8]) -> impl Iterator<Item = (Line, u64)> {
    metrics.split_inclusive(|b| *b == b'\n').map_while(|line| {
        let text = line.strip_suffix(b"\n")?;
        Some((serde_json::from_slice(text).ok()?, line.len() as u64))
    })
}

/// The same, up to the first that is not as it was sealed.
pub fn sealed_lines<'a>(
    metrics: &'a [u8],
    seals: &'a [u8],
) -> impl Iterator<Item = (Line, u64)> + 'a {
    let mut chain = Chain::default();
    let mut seals = seals.split_inclusive(|b| *b == b'\n');
    let bytes = metrics.split_inclusive(|b| *b == b'\n');
    let whole = bytes
        .take_while(move |line| seals.next() == Some(chain.seal(line).as_bytes()))
        .map(<[u8]>::len)
        .sum();
    lines(&metrics[..whole])
}

/// The seals of lines that follow one another.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    last: String,
}

impl Chain {
    /// Bytes of a seal.
    pub const BYTES: u64 = 33;

    /// After seals that were written before.
    pub fn after(seals: &[u8]) -> Self {
        let last = seals.split_inclusive(|b| *b == b'\n').next_back();
        Self {
            last: String::from_utf8_lossy(last.unwrap_or_default()).into_owned(),
        }
    }

    /// The seal of the next line; the line ends are part of both.
    pub fn seal(&mut self, line: &[u8]) -> &str {
        let mut hash = Hash::new();
        hash.part(self.last.as_bytes());
        hash.part(line);
        self.last = hash.short() + "\n";
        &self.last
    }
}

/// What has to lie beside these metrics, for programs that write run folders themselves.
pub fn metrics_seals(metrics: &[u8]) -> String {
    let mut chain = Chain::default();
    let lines = metrics.split_inclusive(|b| *b == b'\n');
    lines.map(|line| chain.seal(line).to_owned()).collect()
}
