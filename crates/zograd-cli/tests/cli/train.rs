//! `zograd train`, end to end, with the built-in model.

use crate::support::{run_json, scratch, unpack, zograd};
use safetensors::SafeTensors;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const SHORT: [&str; 13] = [
    "train",
    "--json",
    "--steps",
    "4",
    "--train-examples",
    "64",
    "--dev-examples",
    "32",
    "--test-examples",
    "64",
    "--eval-every",
    "2",
    "--lr=1e-3",
];

fn short<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SHORT.iter().copied().chain(more.iter().copied()).collect()
}

/// The metrics of a run without the times and the memory, which differ between runs.
fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    text.lines()
        .map(|line| {
            let mut value: Value = serde_json::from_str(line).expect("JSON");
            let fields = value.as_object_mut().expect("an object");
            fields.remove("seconds");
            fields.remove("eval_seconds");
            fields.remove("peak_memory_bytes");
            value
        })
        .collect()
}

#[test]
fn a_run_folder_holds_what_it_promises() {
    let dir = scratch();
    let report = run_json(dir.path(), &short(&["--out", "run"]));
    assert_eq!(report["steps"], 4);
    assert_eq!(report["forwards"], 4 * 6);
    assert_eq!(report["passes"], 4 * 6);
    assert_eq!(report["method"], "gv");
    assert_eq!(report["stop"], "finished");
    for number in ["accuracy_before", "accuracy_after"] {
        let accuracy = report[number].as_f64().expect("a number");
        assert!((0.0..=1.0).contains(&accuracy));
    }
    let run = dir.path().join("run");
    let metrics = metrics(&run);
    let kinds: Vec<_> = metrics
        .iter()
        .map(|m| m["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(
        kinds,
        ["eval", "step", "step", "eval", "step", "step", "eval"]
    );
    assert_eq!(metrics[1]["losses"].as_array().expect("losses").len(), 6);
    assert!(
        metrics[5]["tokens"].as_u64() > Some(0) && metrics[5]["update_norm"].as_f64() > Some(0.0)
    );
    let summary = fs::read_to_string(run.join("summary.json")).expect("a summary");
    assert_eq!(
        serde_json::from_str::<Value>(&summary).expect("JSON"),
        report
    );
    let svg = fs::read_to_string(run.join("loss.svg")).expect("a curve");
    assert!(svg.starts_with("<svg") && svg.contains("development accuracy"));

    // the best weights are a model folder of their own
    let eval = run_json(
        dir.path(),
        &[
            "eval",
            "--json",
            "--model",
            "run/best",
            "--task",
            "toy",
            "--test-examples",
            "64",
        ],
    );
    assert_eq!(eval["accuracy"], report["accuracy_after"]);
}

#[test]
fn a_run_is_a_function_of_its_settings() {
    let dir = scratch();
    run_json(
        dir.path(),
        &short(&["--out", "a", "--method", "greedy", "--seed", "5"]),
    );
    // its config.toml says everything: defaults, too
    run_json(
        dir.path(),
        &["train", "--json", "--config", "a/config.toml", "--out", "b"],
    );
    assert_eq!(
        metrics(&dir.path().join("a")),
        metrics(&dir.path().join("b"))
    );
    let weights =
        |run: &str| fs::read(dir.path().join(run).join("best/model.safetensors")).expect("weights");
    assert!(
        weights("a") == weights("b"),
        "the same settings gave other weights"
    );

    run_json(
        dir.path(),
        &[
            "train",
            "--json",
            "--config",
            "a/config.toml",
            "--out",
            "c",
            "--seed",
            "6",
        ],
    );
    assert_ne!(
        metrics(&dir.path().join("a")),
        metrics(&dir.path().join("c"))
    );
}

/// The two CPU backends add the same noise; their forward passes differ in the last bits.
#[test]
fn backends_agree() {
    let dir = scratch();
    for backend in ["ndarray", "flex"] {
        run_json(
            dir.path(),
            &short(&["--backend", backend, "--out", backend]),
        );
    }
    let (a, b) = (
        metrics(&dir.path().join("ndarray")),
        metrics(&dir.path().join("flex")),
    );
    for (a, b) in a.iter().zip(&b).filter(|(a, _)| a["kind"] == "step") {
        let losses = |v: &Value| -> Vec<f64> {
            let list = v["losses"].as_array().expect("losses");
            list.iter().map(|l| l.as_f64().expect("a number")).collect()
        };
        for (x, y) in losses(a).iter().zip(losses(b)) {
            // f32 forwards in another order of operations, after up to four updates
            assert!((x - y).abs() < 1e-3, "{x} {y}");
        }
    }
}

#[test]
fn every_method_trains() {
    let dir = scratch();
    for (method, more, per_step) in [
        ("mezo", &[][..], 2),
        ("n-spsa", &["--queries", "3"], 6),
        ("gv", &["--pool", "2"], 2),
        ("gv", &["--pool", "2", "--faithful-cost"], 4),
        ("gv", &["--pool", "5", "--noise", "rademacher"], 7),
        ("gv-history", &[], 4),
        ("greedy", &["--pool", "3"], 4),
        ("pool-regression", &["--pool", "4"], 4),
        ("fzoo", &["--pool", "4", "--noise", "rademacher"], 5),
        ("hizoo", &["--hessian-share", "1e-4"], 3),
        ("adamu", &["--anneal-from", "0", "--anneal-to", "3"], 2),
        ("per-example", &["--pool", "2"], 2),
        (
            "per-example",
            &["--pool", "3", "--perturbation", "subzero"],
            3,
        ),
    ] {
        let mut args = short(&["--method", method]);
        args.extend(more);
        let report = run_json(dir.path(), &args);
        assert_eq!(report["forwards"], 4 * per_step, "{method} {more:?}");
        assert_eq!(report["skipped"], 0);
    }
    // without --out the folders are numbered, so no run writes over another
    assert!(dir.path().join("runs/toy-gv-3/summary.json").exists());
}

#[test]
fn a_budget_in_forwards_buys_whole_steps() {
    let dir = scratch();
    let args = [
        "train",
        "--json",
        "--forwards",
        "17",
        "--method",
        "greedy",
        "--test-examples",
        "32",
        "--dev-examples",
        "0",
    ];
    let report = run_json(dir.path(), &args);
    assert_eq!(
        (&report["steps"], &report["forwards"]),
        (&3.into(), &15.into())
    );
    // without development examples the last weights are kept
    assert!(
        dir.path()
            .join("runs/toy-greedy/best/model.safetensors")
            .exists()
    );
}

/// A huge learning rate makes the losses non-finite; the run counts that and the weights stay finite.
#[test]
fn non_finite_losses_are_skipped_and_counted() {
    let dir = scratch();
    let report = run_json(
        dir.path(),
        &[
            "train",
            "--json",
            "--method",
            "mezo",
            "--steps",
            "12",
            "--lr",
            "1e30",
            "--dev-examples",
            "0",
            "--test-examples",
            "16",
        ],
    );
    assert!(report["skipped"].as_u64() > Some(0), "{report}");
    let run = report["run"].as_str().expect("a folder");
    let bytes = fs::read(dir.path().join(run).join("best/model.safetensors")).expect("weights");
    let weights = SafeTensors::deserialize(&bytes).expect("safetensors");
    for (name, tensor) in weights.tensors() {
        let words = tensor.data().chunks_exact(4);
        let mut values = words.map(|w| f32::from_le_bytes(w.try_into().expect("4 bytes")));
        assert!(values.all(f32::is_finite), "{name} is not finite");
    }
}

#[test]
fn own_model_and_data_folders_work_like_the_built_in_ones() {
    let dir = scratch();
    unpack(dir.path());
    let built_in = run_json(dir.path(), &["eval", "--json"]);
    let own = run_json(
        dir.path(),
        &[
            "eval",
            "--json",
            "--model",
            "model",
            "--task",
            "sst2",
            "--data",
            "data",
            "--predictions",
            "p.jsonl",
        ],
    );
    assert_eq!(built_in["accuracy"], own["accuracy"]);
    let text = fs::read_to_string(dir.path().join("p.jsonl")).expect("predictions");
    let rows: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(
        rows.len() as u64,
        own["examples"].as_u64().expect("a number")
    );
    let right = rows
        .iter()
        .filter(|r| r["label"] == r["prediction"])
        .count() as f64;
    assert_eq!(
        right / rows.len() as f64,
        own["accuracy"].as_f64().expect("a number")
    );
    for (k, row) in rows.iter().enumerate() {
        assert_eq!(row["index"], k);
        let scores: Vec<f64> = row["scores"]
            .as_array()
            .expect("scores")
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        assert_eq!(scores.len(), 2);
        assert_eq!(row["prediction"], usize::from(scores[1] > scores[0]));
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_step_and_saves() {
    let dir = scratch();
    let mut child = zograd(
        dir.path(),
        &[
            "train",
            "--steps",
            "1000000",
            "--eval-every",
            "1",
            "--dev-examples",
            "16",
            "--test-examples",
            "16",
            "--out",
            "run",
        ],
    )
    .stderr(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .expect("the binary starts");
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = stderr.lines().map(|l| l.expect("text"));
    assert!(
        lines.any(|line| line.starts_with("step")),
        "no step was reported"
    );
    let pid = child.id().to_string();
    let status = Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .expect("kill");
    assert!(status.success());
    lines.for_each(drop);
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    let summary = fs::read_to_string(dir.path().join("run/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["stop"], "interrupted");
    assert!(dir.path().join("run/best/model.safetensors").exists());
}

#[test]
fn prompts_that_are_cut_are_counted() {
    let dir = scratch();
    let args = [
        "eval",
        "--json",
        "--max-length",
        "8",
        "--test-examples",
        "32",
    ];
    let report = run_json(dir.path(), &args);
    assert!(report["truncated"].as_u64() > Some(0), "{report}");
}

/// Nobody reading the results is no reason to panic.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_panic() {
    let dir = scratch();
    let mut child = zograd(dir.path(), &["eval", "--test-examples", "8"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let words: Vec<String> = stderr.lines().map(|l| l.expect("text")).collect();
    assert!(
        !words.iter().any(|line| line.contains("panicked")),
        "{words:?}"
    );
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}
