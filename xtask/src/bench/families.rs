//! Forward passes of other families' shapes, against transformers.

use super::program::{Programs, number, numbers, peer};
use super::record::Record;
use super::spread::Spread;
use super::{Arguments, Sink};
use crate::workspace::workspace;
use anyhow::{Context, Result};
use std::path::Path;

/// The shapes, by the names that `measure --model-config` knows.
const SHAPES: [&str; 2] = ["smollm2-135m", "llama-3.2-1b"];

/// The records of this topic.
pub const SMOLLM2_DENSE: &str = "families/smollm2-135m-16x64";
pub const SMOLLM2_SST2: &str = "families/smollm2-135m-sst2";
pub const LLAMA_DENSE: &str = "families/llama-3.2-1b-16x64";
pub const LLAMA_SST2: &str = "families/llama-3.2-1b-sst2";

/// Measures dense batches of 64 tokens a sequence, and the real ones.
pub fn measure(programs: &Programs, arguments: &Arguments, sink: &mut Sink<'_>) -> Result<()> {
    let mut inputs = vec![("16x64", vec!["--seq", "64"])];
    let batches = arguments.batches.as_ref().map(|f| f.display().to_string());
    if let Some(file) = &batches {
        inputs.push(("sst2", vec!["--batches", file]));
    }
    for shape in SHAPES {
        for (input, words) in &inputs {
            let name = format!("families/{shape}-{input}");
            if arguments.wants(&name) {
                sink(compare(programs, arguments, (shape, words), name)?)?;
            }
        }
    }
    Ok(())
}

/// One shape on one input, in turn.
fn compare(
    programs: &Programs,
    arguments: &Arguments,
    (shape, input): (&str, &[&str]),
    name: String,
) -> Result<Record> {
    let folder = tempfile::tempdir().context("a scratch folder")?;
    let threads = arguments.threads.to_string();
    let words = [input, &["--threads", &threads, "--repeats", "1"]].concat();
    let mut record = Record::new(name, arguments.rounds);
    let [mut ours, mut share, mut theirs, mut speedup] = [const { Vec::new() }; 4];
    for round in 1..=arguments.rounds {
        eprintln!("{}: round {round} of {}", record.name, arguments.rounds);
        let report = [&["forward", "--model-config", shape], &words[..]].concat();
        let report = programs.measure(&report)?;
        let median = |name| -> Result<f64> {
            Ok(Spread::of(&numbers(&report, name)?).map_or(f64::NAN, |s| s.median))
        };
        let seconds = median("forward_s")?;
        share.push(number(&report, "flops")? / seconds / median("peak_flops")?);
        let seconds = seconds / number(&report, "batches")?;
        ours.push(seconds);
        if let Some(python) = &arguments.peer_python {
            let report = transformers(programs, python, (shape, &words), folder.path())?;
            let peer_seconds = number(&report, "forward_s")? / number(&report, "batches")?;
            theirs.push(peer_seconds);
            speedup.push(peer_seconds / seconds);
            record.note_versions(&report);
        }
    }
    for (name, values) in [
        ("zograd_s", ours),
        ("share_of_peak", share),
        ("peer_s", theirs),
        ("speedup", speedup),
    ] {
        record.add(name, &values);
    }
    Ok(record)
}

/// What docs/src/scripts/forward.py says of the same shape, whose config.json is written to `folder`.
fn transformers(
    programs: &Programs,
    python: &str,
    (shape, words): (&str, &[&str]),
    folder: &Path,
) -> Result<serde_json::Value> {
    let config = programs.measure(&["config", "--model-config", shape])?;
    let file = folder.join("config.json");
    std::fs::write(&file, config.to_string()).with_context(|| file.display().to_string())?;
    let script = workspace().join("docs/src/scripts/forward.py");
    let file = file.display().to_string();
    let words = [&["--model-config", file.as_str()], words].concat();
    peer(&format!("{python} {}", script.display()), &words)
}
