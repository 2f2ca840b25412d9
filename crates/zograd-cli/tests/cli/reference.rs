//! The binary against the numbers of the Python originals (material outside the repository).

use crate::support::{run, run_json, scratch, shared};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

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

/// `--predictions` on the random checkpoints, against log-probabilities computed from the originals' f64
/// logits. A word-level tokenizer that knows every id by name makes a row's text out of its ids; the prompt's own
/// words get the ids that stand at their places.
#[test]
fn scores_equal_the_originals() {
    for model in ["tiny-opt-prenorm", "tiny-opt-350m"] {
        let Some(folder) = shared(&format!("reference/{model}")) else {
            return;
        };
        let bytes = fs::read(folder.join("goldens.safetensors")).expect("goldens");
        let goldens = SafeTensors::deserialize(&bytes).expect("safetensors");
        let ids: Vec<i32> = words(&goldens, "full.input_ids")
            .map(i32::from_le_bytes)
            .collect();
        let logits: Vec<f64> = words(&goldens, "full.logits_f64")
            .map(f64::from_le_bytes)
            .collect();
        let shape = goldens
            .tensor("full.logits_f64")
            .expect("logits")
            .shape()
            .to_vec();
        let (rows, length, vocabulary) = (shape[0], shape[1], shape[2]);
        for row in 0..rows {
            // the prompt is the row up to this token; two arbitrary tokens are the options
            let (end, options) = (length / 2 + row, [41 + row, 300 + row]);
            let prompt = &ids[row * length..row * length + end];
            let scores = eval_scores(&folder, prompt, options);
            let at = &logits[(row * length + end - 1) * vocabulary..][..vocabulary];
            let max = at.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total = max + at.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
            for (score, option) in scores.iter().zip(options) {
                let expected = at[option] - total;
                let error = (score - expected).abs() / expected.abs();
                assert!(
                    error < 1e-4,
                    "{model} row {row}: {score} instead of {expected}"
                );
            }
        }
    }
}

/// The little-endian words of `N` bytes that a tensor consists of.
fn words<const N: usize>(file: &SafeTensors<'_>, name: &str) -> impl Iterator<Item = [u8; N]> {
    let tensor = file.tensor(name).expect(name);
    let words = tensor.data().chunks_exact(N);
    let words: Vec<[u8; N]> = words.map(|w| w.try_into().expect("N bytes")).collect();
    words.into_iter()
}

/// The two scores that `zograd eval` writes for this prompt: `sentence It was terrible/great`.
fn eval_scores(model: &Path, prompt: &[i32], options: [usize; 2]) -> Vec<f64> {
    let dir = scratch();
    let (bos, words) = prompt.split_first().expect("a prompt");
    let (sentence, it_was) = words.split_at(words.len() - 2);
    let tokenizer = word_tokenizer(&[
        ("It", it_was[0]),
        ("was", it_was[1]),
        ("terrible", options[0] as i32),
        ("great", options[1] as i32),
    ]);
    fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).expect("written");
    let text: Vec<String> = sentence.iter().map(|id| format!("w{id}")).collect();
    let row = json!({"sentence": text.join(" "), "label": 1}).to_string();
    for split in ["train", "validation"] {
        fs::write(dir.path().join(format!("{split}.jsonl")), &row).expect("written");
    }
    let (model, bos) = (model.display().to_string(), bos.to_string());
    run(
        dir.path(),
        &[
            "eval",
            "--model",
            &model,
            "--tokenizer",
            ".",
            "--task",
            "sst2",
            "--data",
            ".",
            "--bos-id",
            &bos,
            "--predictions",
            "p.jsonl",
        ],
    );
    let line = fs::read_to_string(dir.path().join("p.jsonl")).expect("a prediction");
    let prediction: Value = serde_json::from_str(&line).expect("JSON");
    let scores = prediction["scores"].as_array().expect("scores");
    scores
        .iter()
        .map(|s| s.as_f64().expect("a number"))
        .collect()
}

/// A tokenizer of the words `w0` to `w511`, by their ids, and more.
pub fn word_tokenizer(more: &[(&str, i32)]) -> Value {
    let mut vocabulary: serde_json::Map<String, Value> =
        (0..512).map(|id| (format!("w{id}"), id.into())).collect();
    for (word, id) in more {
        vocabulary.insert((*word).into(), (*id).into());
    }
    json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w3"},
    })
}
