//! A candidate that the tail informs, through the real binary.

use crate::errors::refused;
use crate::support::{metrics, run, run_json, scratch, short};
use std::fs;

/// Whatever was lost: a run that is resumed without its checkpoint and its best weights makes its steps again from the rows,
/// and another log rebuilds nothing.
#[test]
fn a_resumed_run_makes_its_steps_again() {
    let dir = scratch();
    let informed = ["--method", "greedy", "--informed", "tail", "--lr", "1e-6"];
    let words = |out: &'static str, steps: &'static str| {
        let mut words = short(&[&informed[..], &["--out", out]].concat());
        words[2] = steps;
        words
    };
    run(dir.path(), &words("whole", "30"));
    run(dir.path(), &words("run", "24"));
    // there is no checkpoint of a finished run: all steps are made again
    run(dir.path(), &["train", "--resume", "run", "--steps", "30"]);
    let best = |run: &str| fs::read(dir.path().join(run).join("best/model.safetensors"));
    assert_eq!(
        best("run").expect("weights"),
        best("whole").expect("weights")
    );
    let of = |run: &str| metrics(&dir.path().join(run));
    assert_eq!(of("run"), of("whole"));
    let log = |run: &str| fs::read(dir.path().join(run).join("trajectory.zog"));
    assert_eq!(log("run").expect("a log"), log("whole").expect("a log"));

    let log = ["--log", "run/trajectory.zog"];
    let rows = &["informed", "follows from its rows"][..];
    refused(
        dir.path(),
        &[&["replay", "--out", "new"][..], &log].concat(),
        rows,
    );
    refused(dir.path(), &["log", "verify", "run/trajectory.zog"], rows);
    refused(dir.path(), &["export", "run", "--out", "new"], rows);
    run(dir.path(), &["log", "show", "run/trajectory.zog"]);
}

/// What it costs is said: a forward pass a step beside those of the method, and 4 bytes a weight that moves.
#[test]
fn its_cost_is_counted() {
    for tune in ["full", "lora", "prefix", "head"] {
        let dir = scratch();
        let informed = ["--method", "mezo", "--informed", "tail", "--lr", "1e-6"];
        let more = ["--tune", tune, "--out", "run", "--json"];
        let summary = run_json(dir.path(), &short(&[&informed[..], &more].concat()));
        assert_eq!(summary["forwards"], 24 * 3, "{tune}");
        let parameters = summary["parameters"].as_u64().expect("a count");
        assert_eq!(summary["state_bytes"], 4 * parameters, "{tune}");
    }
}

#[test]
fn what_it_does_not_go_with_is_said() {
    let dir = scratch();
    for (words, parts) in [
        (&["--method", "hizoo"][..], &["--informed", "hizoo"][..]),
        (&["--method", "tail"], &["--informed", "tail has none"]),
        (&["--objective", "accuracy"], &["accuracy", "no gradient"]),
        (&["--arithmetic", "exact"], &["--arithmetic exact", "plain"]),
        (
            &["--backend", "flex", "--dtype", "bf16"],
            &["--dtype bf16", "f32"],
        ),
        (&["--perturbation", "lozo"], &["--informed", "dense"]),
        (&["--calibrate"], &["--calibrate", "--informed"]),
        (&["--lr", "auto"], &["--lr auto", "noise"]),
        (
            &["--informed-scale", "2"],
            &["--informed-scale", "at most 1"],
        ),
    ] {
        let words = [&["train", "--informed", "tail"], words].concat();
        refused(dir.path(), &words, parts);
    }
}
