//! Models of other families, and GGUF files, through the binary.

use crate::support::{run, run_json, run_text, scratch, shared, unpack, zograd};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A run on a family that is no OPT: trained, replayed to the same bytes, tuned with LoRA on its own projections, measured.
#[test]
fn a_llama_is_trained_replayed_and_measured() {
    let Some(model) = shared("reference/families/tiny-qwen3") else {
        return;
    };
    let Some(data) = shared("data/sst2") else {
        return;
    };
    let (model, data) = (model.display().to_string(), data.display().to_string());
    let dir = scratch();
    let inputs = ["--model", &model, "--task", "sst2", "--data", &data];
    let small = [
        "--train-examples",
        "16",
        "--dev-examples",
        "8",
        "--test-examples",
        "8",
        "--steps",
        "4",
        "--eval-every",
        "2",
        "--lr",
        "1e-3",
    ];
    let train = |more: &[&str]| {
        run(
            dir.path(),
            &[&["train"], &inputs[..], &small, more].concat(),
        )
    };
    train(&["--method", "gv", "--out", "full"]);
    let replay = [
        "replay",
        "--log",
        "full/trajectory.zog",
        "--model",
        &model,
        "--best",
        "--out",
        "again",
    ];
    run(dir.path(), &replay);
    let weights = |folder: &str| fs::read(dir.path().join(folder).join("model.safetensors"));
    assert_eq!(
        weights("again").expect("replayed"),
        weights("full/best").expect("saved")
    );

    let lora = [
        "--tune",
        "lora",
        "--lora-targets",
        "o_proj,down_proj",
        "--out",
        "lora",
    ];
    train(&lora);
    let eval = [
        &[
            "eval",
            "--json",
            "--adapter",
            "lora/best",
            "--test-examples",
            "8",
        ],
        &inputs[..],
    ]
    .concat();
    let measured: Value = run_json(dir.path(), &eval);
    assert!(measured["loss"].is_number(), "{measured}");

    // beside the weights it is used with them, and told; so is that another one is given
    let both = dir.path().join("both");
    fs::create_dir(&both).expect("made");
    for folder in [PathBuf::from(&model), dir.path().join("lora/best")] {
        for entry in fs::read_dir(folder).expect("a folder") {
            let file = entry.expect("an entry").path();
            if file.is_file() {
                fs::copy(&file, both.join(file.file_name().expect("a name"))).expect("copied");
            }
        }
    }
    fs::write(dir.path().join("new.jsonl"), "{\"sentence\": \"a film\"}").expect("written");
    let rows = [
        "--task",
        "sst2",
        "--data",
        "new.jsonl",
        "--out",
        "answers.jsonl",
    ];
    let (_, said) = run_text(
        dir.path(),
        &[&["predict", "--model", "both"], &rows[..]].concat(),
    );
    assert!(said.contains("which is used with them"), "{said}");
    let rows = ["--task", "sst2", "--data", &data, "--test-examples", "8"];
    let given = ["eval", "--model", "both", "--adapter", "lora/best"];
    let (_, said) = run_text(dir.path(), &[&given[..], &rows].concat());
    assert!(
        said.contains("which is left out: another was given"),
        "{said}"
    );

    let targets = ["--tune", "lora", "--lora-targets", "fc1", "--out", "no"];
    let args = [&["train"], &inputs[..], &small, &targets].concat();
    let refused = zograd(dir.path(), &args)
        .output()
        .expect("the binary starts");
    let words = String::from_utf8(refused.stderr).expect("UTF-8");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        words.contains("--lora-targets") && words.contains("gate_proj"),
        "{words}"
    );
}

/// A tokenizer that knows neither of two words.
#[test]
fn options_of_the_same_tokens_are_told() {
    let Some(model) = shared("reference/families/tiny-llama") else {
        return;
    };
    let Some(data) = shared("data/sst2") else {
        return;
    };
    let (model, data) = (model.display().to_string(), data.display().to_string());
    let dir = scratch();
    let args = [
        "train",
        "--model",
        &model,
        "--task",
        "sst2",
        "--data",
        &data,
        "--steps",
        "1",
        "--train-examples",
        "8",
        "--dev-examples",
        "4",
        "--test-examples",
        "4",
        "--out",
        "run",
    ];
    let (_, said) = run_text(dir.path(), &args);
    assert!(
        said.contains("in 8 of 8 training rows two options are the same tokens"),
        "{said}"
    );
}

#[test]
fn what_has_no_form_in_gguf_is_refused() {
    let dir = scratch();
    let refused = |args: &[&str], part: &str| {
        let output = zograd(dir.path(), args)
            .output()
            .expect("the binary starts");
        let words = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
        assert!(words.contains(part), "{words}");
        assert!(!dir.path().join("it.gguf").exists());
    };
    // OPT
    refused(&["convert", "--out", "it.gguf"], "opt");
    refused(&["convert", "--out", "it.bin"], ".gguf");
    // an adapter beside the weights, which would be left out
    unpack(dir.path());
    fs::write(dir.path().join("model/adapter_config.json"), "{}").expect("written");
    refused(
        &["convert", "--model", "model", "--out", "it.gguf"],
        "adapter beside its weights",
    );
    // a tokenizer that is a list of words
    let Some(model) = shared("reference/families/tiny-llama") else {
        return;
    };
    let model = model.display().to_string();
    refused(
        &["convert", "--model", &model, "--out", "it.gguf"],
        "tokenizer",
    );
    // told before that: what the blocks of a type leave over
    let args = [
        "convert", "--model", &model, "--type", "q8_0", "--out", "it.gguf",
    ];
    let output = zograd(dir.path(), &args).output().expect("it starts");
    let words = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        words.starts_with("note: rows of 172 numbers are not made of blocks of 32"),
        "{words}"
    );
}
