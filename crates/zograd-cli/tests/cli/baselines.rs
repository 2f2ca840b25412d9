//! Gradient baselines, linear probing and head tuning through the real binary.

use crate::errors::refused;
use crate::support::{metrics, run, run_json, scratch, short, unpack};
use serde_json::Value;
use std::fs;

#[test]
fn adam_learns_in_every_mode_and_its_weights_load() {
    // a forward and a backward that counts as two
    learns_in_every_mode("adam", 180, false);
}

/// Sixty steps of a method that knows a gradient lower the loss, whatever is tuned, and what was kept scores what the run says.
pub fn learns_in_every_mode(method: &str, forwards: u64, has_log: bool) {
    for (tune, lr) in [
        ("full", "3e-4"),
        ("lora", "3e-3"),
        ("prefix", "1e-2"),
        ("head", "3e-3"),
    ] {
        let dir = scratch();
        let sizes =
            "--steps 60 --train-examples 64 --dev-examples 16 --test-examples 8 --batch-size 8";
        let mut words = vec!["train", "--method", method, "--out", "run", "--json"];
        words.extend(["--tune", tune, "--lr", lr]);
        words.extend(sizes.split(' '));
        let report = run_json(dir.path(), &words);
        assert_eq!(report["method"], method);
        assert_eq!(report["tune"], tune);
        assert_eq!(report["forwards"], forwards, "{tune}");
        let lines = metrics(&dir.path().join("run"));
        let losses: Vec<f64> = lines
            .iter()
            .filter(|line| line["kind"] == "step")
            .map(|line| line["loss"].as_f64().expect("a loss"))
            .collect();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..10]), mean(&losses[50..]));
        assert!(last < first, "{tune}: {first} to {last}");
        let log = dir.path().join("run/trajectory.zog");
        assert_eq!(log.exists(), has_log, "{tune}");
        let adapter = ["--adapter", "run/best"];
        let model = ["--model", "run/best"];
        let from: &[&str] = match tune {
            "lora" | "prefix" => &adapter,
            _ => {
                unpack(dir.path());
                &model
            }
        };
        let task = ["--task", "sst2", "--data", "data"];
        let mut words = vec!["eval", "--test-examples", "8", "--json"];
        words.extend(from);
        if from == model {
            words.extend(task);
        }
        let eval = run_json(dir.path(), &words);
        assert_eq!(eval["accuracy"], report["accuracy_after"], "{tune}");
    }
}

#[test]
fn a_baseline_is_a_function_of_its_settings_and_parts_add_up() {
    let dir = scratch();
    let losses = |out: &str, more: &[&str]| {
        let words = [&short(&["--method", "adamw", "--out", out])[..], more].concat();
        run(dir.path(), &words);
        let steps = metrics(&dir.path().join(out)).into_iter();
        let steps = steps.filter(|line| line["kind"] == "step");
        steps
            .map(|line| line["loss"].as_f64().expect("a loss"))
            .collect::<Vec<f64>>()
    };
    let whole = losses("a", &[]);
    assert_eq!(whole, losses("b", &["--threads", "1"]));
    for (x, y) in whole
        .iter()
        .zip(losses("c", &["--micro-batch", "1", "--recompute"]))
    {
        assert!((x / y - 1.0).abs() < 1e-3, "{x} {y}");
    }
    // the settings that were used run the same again
    run(
        dir.path(),
        &["train", "--config", "a/config.toml", "--out", "d"],
    );
    assert_eq!(
        metrics(&dir.path().join("a")),
        metrics(&dir.path().join("d"))
    );
}

#[test]
fn linear_probing_makes_a_head_and_reports_like_a_run() {
    let dir = scratch();
    let words = [
        "train",
        "--method",
        "linear-probing",
        "--train-examples",
        "200",
        "--test-examples",
        "40",
        "--out",
        "run",
        "--json",
    ];
    let report = run_json(dir.path(), &words);
    assert_eq!(
        (&report["tune"], &report["steps"]),
        (&"head".into(), &1.into())
    );
    assert_eq!(report["forwards"], 13);
    let config = fs::read_to_string(dir.path().join("run/best/config.json")).expect("a model");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["tie_word_embeddings"], false);
    run(
        dir.path(),
        &["train", "--config", "run/config.toml", "--out", "again"],
    );
    let lines = metrics(&dir.path().join("run"));
    assert_eq!(lines.len(), 3, "a step between evaluations: {lines:?}");
    assert_eq!(lines, metrics(&dir.path().join("again")));
    let weights =
        |run: &str| fs::read(dir.path().join(run).join("best/model.safetensors")).expect("weights");
    assert!(weights("run") == weights("again"));
    run(dir.path(), &["report", "run", "--out", "report.html"]);
}

/// Forward passes only, on the head: logged, replayed and gone on with like every run.
#[test]
fn a_head_is_tuned_by_forward_passes_and_replayed() {
    let dir = scratch();
    let words = short(&["--tune", "head", "--lr", "1e-3", "--out", "run", "--json"]);
    let report = run_json(dir.path(), &words);
    assert_eq!(report["tune"], "head");
    unpack(dir.path());
    run(
        dir.path(),
        &[
            "replay",
            "--log",
            "run/trajectory.zog",
            "--model",
            "model",
            "--out",
            "again",
        ],
    );
    let task = [
        "--task",
        "sst2",
        "--data",
        "data",
        "--test-examples",
        "8",
        "--json",
    ];
    let loss = |model: &str| {
        let words = [&["eval", "--model", model][..], &task].concat();
        run_json(dir.path(), &words)["loss"].clone()
    };
    // the run's best weights are its last, or another step's
    if report["best_step"] == report["steps"] {
        assert_eq!(loss("again"), loss("run/best"));
    }
    assert_ne!(loss("again"), loss("model"));
}

#[test]
fn what_a_baseline_cannot_do_is_said() {
    let dir = scratch();
    for (words, parts) in [
        (
            &["--method", "adam", "--eps", "1e-3"][..],
            &["--eps", "adam"][..],
        ),
        (&["--method", "adam", "--pool", "2"], &["--pool", "adam"]),
        (
            &["--method", "mezo", "--micro-batch", "2"],
            &["--micro-batch", "mezo"],
        ),
        (
            &["--method", "adam", "--micro-batch", "0"],
            &["--micro-batch 0"],
        ),
        (
            &["--method", "adam", "--max-grad-norm", "0"],
            &["--max-grad-norm 0"],
        ),
        (
            &["--method", "adam", "--objective", "accuracy"],
            &["accuracy", "no gradient"],
        ),
        (
            &["--method", "adam", "--backend", "flex", "--dtype", "bf16"],
            &["--dtype bf16", "f32"],
        ),
        (
            &["--method", "adam", "--batch-size", "0"],
            &["--batch-size 0"],
        ),
        (
            &["--method", "adam", "--guard", "flat-loss=stop"],
            &["--guard", "flat-loss"],
        ),
        (
            &["--method", "linear-probing", "--steps", "3"],
            &["--steps", "linear-probing"],
        ),
        (
            &["--method", "linear-probing", "--tune", "lora"],
            &["--tune lora", "head"],
        ),
        (
            &["--method", "linear-probing", "--train-examples", "1"],
            &["one token"],
        ),
    ] {
        refused(dir.path(), &[&["train"], words].concat(), parts);
    }
    run(dir.path(), &short(&["--method", "adam", "--out", "run"]));
    refused(
        dir.path(),
        &["train", "--resume", "run"],
        &["--resume", "finished"],
    );
    fs::remove_file(dir.path().join("run/summary.json")).expect("a summary");
    refused(
        dir.path(),
        &["train", "--resume", "run"],
        &["--resume", "adam"],
    );
    for (words, part) in [
        (&["--method", "adam,mezo"][..], "learning rates"),
        (&["--method", "adam", "--eps", "1e-3"], "--eps"),
        (&["--method", "linear-probing"], "linear-probing"),
    ] {
        refused(dir.path(), &[&["sweep"], words].concat(), &[part]);
    }
}

#[test]
fn a_sweep_of_adam_has_no_eps() {
    let dir = scratch();
    let words = [
        "sweep",
        "--method",
        "adam",
        "--lr",
        "1e-4,1e-3",
        "--forwards",
        "12",
        "--dev-examples",
        "8",
        "--train-examples",
        "16",
        "--test-examples",
        "4",
        "--batch-size",
        "4",
        "--out",
        "sweep",
        "--json",
    ];
    let report = run_json(dir.path(), &words);
    let points = report["points"].as_array().expect("points");
    assert_eq!(points.len(), 2);
    assert!(points.iter().all(|point| point.get("eps").is_none()));
    assert!(dir.path().join("sweep/adam-lr1e-4").exists());
    // a point that was interrupted begins again, to the same end
    let point = dir.path().join("sweep/adam-lr1e-4");
    let before = metrics(&point);
    fs::remove_file(point.join("summary.json")).expect("a summary");
    run(dir.path(), &["sweep", "--resume", "sweep"]);
    assert!(point.join("summary.json").exists());
    assert_eq!(metrics(&point), before);
}
