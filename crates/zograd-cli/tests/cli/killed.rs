//! Runs that are killed, or whose checkpoints are lost.

use crate::support::{json, metrics, run, run_json, short, small, start, until};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Kills a small run as soon as its metrics have so many bytes, and resumes it.
pub fn kill_and_resume(dir: &Path, out: &str, more: &[&str], bytes: u64) {
    let mut child = start(dir, &small(out, more));
    until(&mut child, &dir.join(out).join("metrics.jsonl"), bytes);
    child.kill().expect("killed");
    child.wait().expect("ended");
    run(dir, &["train", "--resume", out]);
}

/// A small run that is killed is resumed to the same bits, and its log is replayed and verified; the summary of one that was
/// not killed.
pub fn the_log_has_all_of_it(dir: &Path, more: &[&str]) -> Value {
    let whole = run_json(dir, &small("whole", more));
    assert_eq!(whole["skipped"], 0);
    kill_and_resume(dir, "killed", more, 8_000);
    let resumed = json(&dir.join("killed/summary.json"));
    for key in ["weights", "best_weights"] {
        assert_eq!(resumed[key], whole[key], "{more:?} {key}");
    }
    let lines = |run: &str| metrics(&dir.join(run));
    assert_eq!(lines("killed"), lines("whole"), "{more:?}");

    let log = "whole/trajectory.zog";
    let replayed = run(dir, &["replay", "--log", log, "--out", "again"]).stdout;
    let replayed = String::from_utf8(replayed).expect("UTF-8");
    let hash = whole["weights"].as_str().expect("a hash");
    assert!(replayed.contains(hash), "{replayed}");
    run(dir, &["log", "verify", log]);
    whole
}

/// Whatever was lost: a short run in `run` that is resumed without its checkpoint and its best weights makes all of its steps
/// again from the rows.
pub fn the_rows_have_all_of_it(dir: &Path, method: &[&'static str]) {
    let words = |out: &'static str, steps: &'static str| {
        let mut words = short(&[method, &["--out", out]].concat());
        words[2] = steps;
        words
    };
    run(dir, &words("whole", "30"));
    run(dir, &words("run", "24"));
    // there is no checkpoint of a finished run
    run(dir, &["train", "--resume", "run", "--steps", "30"]);
    let file = |run: &str, name| fs::read(dir.join(run).join(name)).expect("a file");
    for name in ["best/model.safetensors", "trajectory.zog"] {
        assert_eq!(file("run", name), file("whole", name), "{name}");
    }
    let of = |run: &str| metrics(&dir.join(run));
    assert_eq!(of("run"), of("whole"));
}
