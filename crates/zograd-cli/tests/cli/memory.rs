//! Training takes the memory of inference: the weights once, and what one layer needs.

#![cfg(target_os = "linux")]

use crate::support::{scratch, start, unpack};
use burn_ndarray::NdArray;
use std::fs;
use std::path::Path;
use std::time::Duration;
use zograd_models::{Model, ModelConfig, save_pretrained};

/// A model of 42 million random weights with the built-in tokenizer.
fn random_model(folder: &Path) -> u64 {
    let config = ModelConfig::from_json(
        r#"{"model_type": "opt", "vocab_size": 32000, "hidden_size": 512, "num_hidden_layers": 8,
            "num_attention_heads": 8, "ffn_dim": 2048, "max_position_embeddings": 512}"#,
    )
    .expect("a valid shape");
    let model = Model::<NdArray>::init(&config, &Default::default());
    save_pretrained(&model, &config, None, folder).expect("a writable folder");
    fs::write(
        folder.join("tokenizer.json"),
        zograd_embedded::TOKENIZER.as_bytes(),
    )
    .expect("a writable folder");
    4 * config.num_parameters() as u64
}

/// The largest resident set of a process so far, in bytes; `None` once it has ended.
fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The largest resident set of a command that comes to a good end, in bytes.
fn highest(dir: &Path, args: &[&str]) -> u64 {
    let mut child = start(dir, args);
    let mut highest = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("our child") {
            break status;
        }
        // the mark only grows, so the last look is the peak
        highest = peak(child.id()).unwrap_or(highest);
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{args:?}: {status}");
    highest
}

/// Of a row that is far longer than any prompt only the end is kept, and not tokenised at once: that took four hundred times
/// its size.
#[test]
fn a_long_row_takes_little_memory() {
    let dir = scratch();
    unpack(dir.path());
    for unit in ["!a1", "word "] {
        let row = serde_json::json!({"sentence": unit.repeat((6 << 20) / unit.len()), "label": 1});
        let rows = dir.path().join("data/validation.jsonl");
        fs::write(rows, format!("{row}\n")).expect("written");
        let input = ["--task", "sst2", "--data", "data", "--tokenizer", "model"];
        let args = [&["prompts"][..], &input, &["--limit", "1", "--json"]].concat();
        let highest = highest(dir.path(), &args);
        assert!(highest <= 256 << 20, "{unit:?}: a peak of {highest} bytes");
    }
}

/// The whole run: loading, steps, evaluations, checkpoints and best weights, loading those again. By forwards alone, and with
/// the walk back along the answers' positions.
#[test]
fn a_run_takes_the_memory_of_inference() {
    let dir = scratch();
    unpack(dir.path());
    let weights = random_model(&dir.path().join("random"));
    for method in ["gv", "tail"] {
        let run = method_run(method);
        let highest = highest(dir.path(), &run.each_ref().map(String::as_str));
        assert!(highest > weights, "{highest} bytes cannot hold {weights}");
        let limit = weights + weights / 4 + 200_000_000;
        assert!(
            highest <= limit,
            "{method}: a peak of {highest} bytes for {weights} bytes of weights; at most {limit} are allowed"
        );
    }
}

fn method_run(method: &str) -> [String; 12] {
    [
        "train",
        &format!("--method={method}"),
        "--json",
        "--model=random",
        "--task=sst2",
        "--data=data",
        "--steps=2",
        "--eval-every=1",
        "--train-examples=64",
        "--dev-examples=32",
        "--test-examples=32",
        &format!("--out={method}"),
    ]
    .map(str::to_owned)
}
