//! Tuning adapters through the real binary: what moves, what is saved, and what can be done with it.

use crate::errors::refused;
use crate::support::{run, run_json, scratch, unpack, zograd};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A run of a second at most.
fn short<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "train",
        "--steps",
        "12",
        "--eval-every",
        "4",
        "--dev-examples",
        "16",
        "--test-examples",
        "8",
        "--train-examples",
        "64",
        "--batch-size",
        "4",
        "--out",
        "run",
        "--json",
    ];
    args.extend(more);
    args
}

const LORA: [&str; 2] = ["--tune", "lora"];
const PREFIX: [&str; 2] = ["--tune", "prefix"];

fn tensors(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("adapter_model.safetensors")).expect("tensors")
}

fn predictions(dir: &Path, args: &[&str]) -> Vec<Vec<f64>> {
    let file = dir.join("predictions.jsonl");
    let _ = fs::remove_file(&file);
    let all = [
        &[
            "eval",
            "--test-examples",
            "20",
            "--predictions",
            "predictions.jsonl",
        ],
        args,
    ];
    run(dir, &all.concat());
    let text = fs::read_to_string(file).expect("predictions");
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let scores = line["scores"].as_array().expect("scores").iter();
            scores
                .map(|score| score.as_f64().expect("a number"))
                .collect()
        })
        .collect()
}

fn distance(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn a_run_saves_the_adapter_and_eval_takes_it() {
    for (flags, tensors) in [(LORA, "q_proj.lora_A"), (PREFIX, "prefix_keys")] {
        let dir = scratch();
        unpack(dir.path());
        let report = run_json(dir.path(), &short(&flags));
        assert_eq!(report["tune"], flags[1]);
        let best = dir.path().join("run/best");
        let mut files: Vec<String> = fs::read_dir(&best)
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        files.sort();
        assert_eq!(
            files,
            [
                "README.md",
                "adapter_config.json",
                "adapter_model.safetensors",
                "base.json",
                "zograd.toml"
            ]
        );
        let bytes = self::tensors(&best);
        let header = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        assert!(
            header.contains(tensors) && !header.contains("fc1"),
            "{header}"
        );

        let base = predictions(dir.path(), &["--model", "model", "--task", "toy"]);
        let tuned = predictions(
            dir.path(),
            &["--model", "model", "--task", "toy", "--adapter", "run/best"],
        );
        assert!(distance(&base, &tuned) > 1e-4, "the adapter does nothing");

        // nor on other weights
        run(
            dir.path(),
            &[
                "train",
                "--steps",
                "1",
                "--train-examples",
                "8",
                "--dev-examples",
                "0",
                "--test-examples",
                "4",
                "--lr",
                "1e-3",
                "--out",
                "full",
            ],
        );
        let output = zograd(
            dir.path(),
            &[
                "eval",
                "--model",
                "full/best",
                "--task",
                "toy",
                "--adapter",
                "run/best",
            ],
        )
        .output()
        .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("other weights"), "{error}");
    }
}

/// The run knows the model of its adapter: the built-in one too, which its settings do not name.
#[test]
fn the_best_weights_of_a_run_are_enough() {
    let dir = scratch();
    run_json(dir.path(), &short(&LORA));
    fs::write(dir.path().join("new.csv"), "sentence\na good film\n").expect("written");
    let eval = ["--test-examples", "16", "--json"];
    let scores = ["run", "run/best"].map(|model| {
        let args = [&["eval", "--model", model][..], &eval].concat();
        let report = run_json(dir.path(), &args);
        let out = format!("{}.csv", model.replace('/', "-"));
        run(
            dir.path(),
            &[
                "predict", "--model", model, "--data", "new.csv", "--out", &out,
            ],
        );
        (
            report["loss"].clone(),
            fs::read(dir.path().join(out)).expect("answers"),
        )
    });
    assert_eq!(scores[0], scores[1]);
}

#[test]
fn a_merged_model_gives_the_scores_of_its_adapter() {
    let dir = scratch();
    unpack(dir.path());
    run(
        dir.path(),
        &short(&[&LORA[..], &["--lora-targets", "fc1,q_proj"]].concat()),
    );
    let merge = [
        "merge",
        "--model",
        "model",
        "--adapter",
        "run/best",
        "--out",
        "merged",
    ];
    run(dir.path(), &merge);
    let with = predictions(
        dir.path(),
        &["--model", "model", "--task", "toy", "--adapter", "run/best"],
    );
    let merged = predictions(dir.path(), &["--model", "merged", "--task", "toy"]);
    assert!(distance(&with, &merged) < 1e-4);

    for (args, part) in [
        (&merge[..], "not empty"),
        (
            &[
                "merge",
                "--model",
                "model",
                "--adapter",
                "model",
                "--out",
                "new",
            ],
            "adapter_config.json",
        ),
    ] {
        refused(dir.path(), args, &[part]);
    }
}

#[test]
fn a_replay_makes_the_adapter_again() {
    for (flags, remove_start) in [(LORA, false), (PREFIX, false), (PREFIX, true)] {
        let dir = scratch();
        unpack(dir.path());
        let report = run_json(dir.path(), &short(&flags));
        if remove_start {
            // the same machine makes the same activations again
            fs::remove_dir_all(dir.path().join("run/start")).expect("it was kept");
        }
        let best = report["best_step"].to_string();
        let log = "run/trajectory.zog";
        run(
            dir.path(),
            &["replay", "--log", log, "--to-step", &best, "--out", "again"],
        );
        let again = dir.path().join("again");
        assert_eq!(
            tensors(&again),
            tensors(&dir.path().join("run/best")),
            "{flags:?}"
        );
        let shown = run_json(dir.path(), &["log", "show", log, "--json"]);
        assert_eq!(shown["header"]["format"], 2);
        assert_eq!(shown["header"]["adapter"]["kind"], flags[1]);
    }
}

#[test]
fn flags_of_another_way_of_tuning_are_refused() {
    let dir = scratch();
    for (args, part) in [
        (
            &["--lora-r", "4"][..],
            "--lora-r: --tune full has none; --tune lora has",
        ),
        (
            &["--tune", "lora", "--prefix-tokens", "4"],
            "--tune lora has none; --tune prefix has",
        ),
        (
            &["--tune", "lora", "--lora-r", "0"],
            "--lora-r 0: use a rank of 1",
        ),
        (&["--tune", "lora", "--lora-targets", "q"], "out_proj"),
        (
            &["--tune", "prefix", "--prefix-tokens", "9999"],
            "--prefix-tokens 9999",
        ),
    ] {
        let output = zograd(dir.path(), &[&["train", "--out", "new"], args].concat())
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(part), "{error}");
        assert!(!dir.path().join("new").exists());
    }
}
