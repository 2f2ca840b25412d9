//! The binary against the numbers of the Python originals (material outside the repository).

use crate::support::{run, run_json, scratch, shared};
use serde_json::Value;
use std::fs;

/// Token ids, texts and option lengths of every form of the task's reference prompts.
#[test]
fn prompts_equal_the_originals() {
    let Some(reference) = shared("reference/prompts/sst2.json") else {
        return;
    };
    let (Some(data), Some(tokenizer)) = (shared("data/sst2"), shared("tokenizer/opt")) else {
        return;
    };
    let text = fs::read_to_string(reference).expect("goldens");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    let rows = golden["rows"].as_array().expect("rows");
    let (data, tokenizer) = (data.display().to_string(), tokenizer.display().to_string());
    let dir = scratch();
    for (form, key, max_length) in [
        ("train", "train", "2048"),
        ("train", "train_max_length_64", "64"),
        ("zero-shot", "zero_shot", "2048"),
        ("icl", "icl_2", "2048"),
        ("icl", "icl_2_max_length_256", "256"),
        ("sfc", "sfc", "2048"),
        ("icl-sfc", "icl_sfc_2", "2048"),
    ] {
        let count = rows.len().to_string();
        let output = run(
            dir.path(),
            &[
                "prompts",
                "--json",
                "--task",
                "sst2",
                "--data",
                &data,
                "--tokenizer",
                &tokenizer,
                "--form",
                form,
                "--shots",
                "2",
                "--max-length",
                max_length,
                "--bos-id",
                "0",
                "--limit",
                &count,
            ],
        );
        let lines = String::from_utf8(output.stdout).expect("UTF-8");
        let shown: Vec<Value> = lines
            .lines()
            .map(|l| serde_json::from_str(l).expect("JSON"))
            .collect();
        assert_eq!(shown.len(), rows.len());
        for (shown, golden) in shown.iter().zip(rows) {
            assert_eq!(shown["row"], golden["row"]);
            assert_eq!(shown["correct"], golden["correct"]);
            let candidates = shown["candidates"].as_array().expect("candidates");
            for (k, candidate) in candidates.iter().enumerate() {
                assert_eq!(candidate["ids"], golden[key]["ids"][k], "{key}");
                assert_eq!(candidate["text"], golden[key]["text"][k], "{key}");
                assert_eq!(
                    candidate["option_len"], golden[key]["option_lens"][k],
                    "{key}"
                );
            }
        }
    }
}

/// OPT's own BOS is the default.
#[test]
fn prompts_begin_with_the_tokenizers_bos() {
    let (Some(data), Some(tokenizer)) = (shared("data/sst2"), shared("tokenizer/opt")) else {
        return;
    };
    let (data, tokenizer) = (data.display().to_string(), tokenizer.display().to_string());
    let dir = scratch();
    let args = [
        "prompts",
        "--json",
        "--task",
        "sst2",
        "--data",
        &data,
        "--tokenizer",
        &tokenizer,
        "--limit",
        "1",
    ];
    let shown = run_json(dir.path(), &args);
    assert_eq!(shown["candidates"][0]["ids"][0], 2);
}

/// The published check values of a small trained checkpoint: its zero-shot accuracy and loss on SST-2.
#[test]
fn zero_shot_equals_the_published_value() {
    let (Some(model), Some(data)) = (shared("models/opt-tiny-5m"), shared("data/sst2")) else {
        return;
    };
    let (model, data) = (model.display().to_string(), data.display().to_string());
    let dir = scratch();
    let report = run_json(
        dir.path(),
        &[
            "eval", "--json", "--model", &model, "--task", "sst2", "--data", &data,
        ],
    );
    assert_eq!(report["examples"], 872);
    let number = |key: &str| report[key].as_f64().expect("a number");
    // stated to three digits
    assert!((number("accuracy") - 0.517).abs() < 6e-4, "{report}");
    assert!((number("loss") - 0.789).abs() < 6e-4, "{report}");
}
