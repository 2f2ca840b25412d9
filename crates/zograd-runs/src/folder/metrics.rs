//! The lines of `metrics.jsonl`.

use serde::Deserialize;
use zograd_trainer::{EvalRecord, StepRecord};

/// One line.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// After a step.
    Step(StepRecord),
    /// After an evaluation.
    Eval(EvalRecord),
}

/// The whole lines with their lengths in bytes, up to the first that is torn or damaged.
pub fn lines(metrics: &[u8]) -> impl Iterator<Item = (Line, u64)> {
    metrics.split_inclusive(|b| *b == b'\n').map_while(|line| {
        let text = line.strip_suffix(b"\n")?;
        Some((serde_json::from_slice(text).ok()?, line.len() as u64))
    })
}
