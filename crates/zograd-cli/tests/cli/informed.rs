//! A candidate that the tail informs, through the real binary.

use crate::errors::refused;
use crate::killed::the_rows_have_all_of_it;
use crate::support::{run, run_json, scratch, short};

/// Its steps are made again from the rows, and its log rebuilds nothing.
#[test]
fn a_resumed_run_makes_its_steps_again() {
    let dir = scratch();
    let informed = ["--method", "greedy", "--informed", "tail", "--lr", "1e-6"];
    the_rows_have_all_of_it(dir.path(), &informed);

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
