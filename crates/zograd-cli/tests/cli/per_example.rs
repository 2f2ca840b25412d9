//! Examples with directions of their own, from the command.

use crate::errors::refused;
use crate::support::{json, metrics, run, run_json, scratch, start, until};

/// A run of 90 steps, evaluated every 9.
fn train<'a>(out: &'a str, arithmetic: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let shared = [
        "train",
        "--method",
        "per-example",
        "--steps",
        "90",
        "--dev-examples",
        "16",
        "--test-examples",
        "8",
        "--train-examples",
        "64",
        "--batch-size",
        "4",
        "--lr",
        "1e-4",
        "--json",
        "--arithmetic",
        arithmetic,
        "--out",
        out,
    ];
    [&shared[..], more].concat()
}

/// A run that is killed is resumed to the same bits, and its log replayed: a loss of each example and candidate.
#[test]
fn a_run_is_resumed_and_replayed() {
    let two_sided = ["--pool", "2", "--refresh", "1"].to_vec();
    let pool = [
        "--pool",
        "3",
        "--perturbation",
        "subzero",
        "--perturbation-rank",
        "4",
    ]
    .to_vec();
    for (more, candidates) in [(&two_sided, 2), (&pool, 3)] {
        for arithmetic in ["exact", "plain"] {
            let dir = scratch();
            let whole = run_json(dir.path(), &train("whole", arithmetic, more));
            assert_eq!(
                (&whole["skipped"], &whole["forwards"]),
                (&0.into(), &(90 * candidates).into())
            );
            let steps = metrics(&dir.path().join("whole"));
            let losses = steps.iter().filter_map(|line| line["losses"].as_array());
            let counts: Vec<usize> = losses.map(Vec::len).collect();
            assert_eq!(counts, vec![4 * candidates; 90], "{arithmetic}");

            let mut child = start(dir.path(), &train("killed", arithmetic, more));
            until(&mut child, &dir.path().join("killed/metrics.jsonl"), 8_000);
            child.kill().expect("killed");
            child.wait().expect("ended");
            run(dir.path(), &["train", "--resume", "killed"]);
            let resumed = json(&dir.path().join("killed/summary.json"));
            for key in ["weights", "best_weights"] {
                assert_eq!(resumed[key], whole[key], "{arithmetic} {key}");
            }
            let lines = |run: &str| metrics(&dir.path().join(run));
            assert_eq!(lines("killed"), lines("whole"), "{arithmetic}");

            let log = "whole/trajectory.zog";
            let replayed = run(dir.path(), &["replay", "--log", log, "--out", "again"]).stdout;
            let replayed = String::from_utf8(replayed).expect("UTF-8");
            let hash = whole["weights"].as_str().expect("a hash");
            assert!(replayed.contains(hash), "{replayed}");
            run(dir.path(), &["log", "verify", log]);
        }
    }
}

#[test]
fn what_does_not_go_with_it_is_refused_by_name() {
    let dir = scratch();
    for (args, said) in [
        (&["--perturbation", "dense"][..], "--perturbation dense"),
        (&["--tune", "lora"], "--tune lora"),
        (&["--calibrate"], "--calibrate"),
        (&["--lr", "auto"], "--lr auto"),
        (&["--objective", "f1"], "--objective f1"),
        (&["--pool", "1"], "--pool 1"),
    ] {
        let args = [&["train", "--method", "per-example"][..], args].concat();
        refused(dir.path(), &args, &[said]);
    }
}
