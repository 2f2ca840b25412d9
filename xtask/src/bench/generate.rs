//! Generation: continuing prompts, against transformers.

use super::program::{Programs, number, numbers, peer};
use super::record::Record;
use super::spread::Spread;
use super::{Arguments, Sink};
use crate::workspace::workspace;
use anyhow::Result;
use serde_json::Value;

/// The record of this topic.
pub const PROMPTS: &str = "generate/16x400-50";

/// Measures 16 prompts of 400 tokens that are continued by 50: a batch of an evaluation.
pub fn measure(programs: &Programs, arguments: &Arguments, sink: &mut Sink<'_>) -> Result<()> {
    if !arguments.wants(PROMPTS) {
        return Ok(());
    }
    let threads = arguments.threads.to_string();
    let words = ["--repeats", "1", "--threads", &threads];
    let shape = [
        "--prompts",
        "16",
        "--prompt-tokens",
        "400",
        "--new-tokens",
        "50",
    ];
    let words = [&words[..], &shape[..]].concat();
    let script = workspace().join("docs/src/scripts/generate.py");
    let mut record = Record::new(PROMPTS, arguments.rounds);
    let [mut all, mut first, mut token] = [const { Vec::new() }; 3];
    let [mut peer_all, mut peer_first, mut speedup] = [const { Vec::new() }; 3];
    for round in 1..=arguments.rounds {
        eprintln!("{PROMPTS}: round {round} of {}", arguments.rounds);
        let report = programs.measure(&[&["generate"], &words[..]].concat())?;
        let seconds = median(&report, "generate_s")?;
        all.push(seconds);
        first.push(median(&report, "first_token_s")?);
        token.push(median(&report, "token_s")?);
        if let Some(python) = &arguments.peer_python {
            let report = peer(&format!("{python} {}", script.display()), &words)?;
            let peer_seconds = number(&report, "generate_s_median")?;
            peer_all.push(peer_seconds);
            peer_first.push(number(&report, "first_token_s_median")?);
            speedup.push(peer_seconds / seconds);
            record.note_versions(&report);
        }
    }
    for (name, values) in [
        ("zograd_s", all),
        ("first_token_s", first),
        ("token_s", token),
        ("peer_s", peer_all),
        ("peer_first_token_s", peer_first),
        ("speedup", speedup),
    ] {
        record.add(name, &values);
    }
    sink(record)
}

fn median(report: &Value, name: &str) -> Result<f64> {
    let values = numbers(report, name)?;
    Ok(Spread::of(&values).map_or(f64::NAN, |spread| spread.median))
}
