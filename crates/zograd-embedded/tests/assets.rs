//! The shipped files are what the crate says they are.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::HashSet;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn rows(lines: &str) -> Vec<(String, u64)> {
    let read = |line| {
        let row = json(line);
        let sentence = row["sentence"].as_str().expect("a sentence").to_owned();
        (sentence, row["label"].as_u64().expect("a label"))
    };
    lines.lines().map(read).collect()
}

#[test]
fn everything_is_small_enough_for_a_repository() {
    let sizes = [
        zograd_embedded::MODEL.len(),
        zograd_embedded::CONFIG.len(),
        zograd_embedded::TOKENIZER.len(),
        zograd_embedded::TRAIN.len(),
        zograd_embedded::VALIDATION.len(),
        zograd_embedded::README.len(),
    ];
    let total: usize = sizes.iter().sum();
    assert!(total < 2_500_000, "{total} bytes: {sizes:?}");
}

#[test]
fn weights_are_f16_finite_and_of_the_configured_shape() {
    let config = json(zograd_embedded::CONFIG);
    let size = |key: &str| config[key].as_u64().expect(key) as usize;
    assert_eq!(config["model_type"], "opt");
    assert_eq!(config["torch_dtype"], "float16");
    let file = SafeTensors::deserialize(zograd_embedded::MODEL).expect("safetensors");
    let shape = |name: &str| file.tensor(name).expect(name).shape().to_vec();
    let hidden = size("hidden_size");
    assert_eq!(
        shape("model.decoder.embed_tokens.weight"),
        [size("vocab_size"), hidden]
    );
    // OPT's position table has two rows that no token uses
    assert_eq!(
        shape("model.decoder.embed_positions.weight"),
        [size("max_position_embeddings") + 2, hidden]
    );
    let last = size("num_hidden_layers") - 1;
    assert_eq!(
        shape(&format!("model.decoder.layers.{last}.fc1.weight")),
        [size("ffn_dim"), hidden]
    );
    for (name, view) in file.tensors() {
        assert_eq!(view.dtype(), Dtype::F16, "{name}");
        // an exponent of all ones: infinite or not a number
        let finite = |half: &[u8]| u16::from_le_bytes([half[0], half[1]]) & 0x7c00 != 0x7c00;
        assert!(view.data().chunks_exact(2).all(finite), "{name}");
    }
}

#[test]
fn the_tokenizer_has_the_ids_of_opt_and_the_size_of_the_model() {
    let tokenizer = json(zograd_embedded::TOKENIZER);
    let vocabulary = tokenizer["model"]["vocab"].as_object().expect("a table");
    for (id, token) in ["<s>", "<pad>", "</s>", "<unk>"].iter().enumerate() {
        assert_eq!(vocabulary[*token], id, "{token}");
    }
    let config = json(zograd_embedded::CONFIG);
    assert_eq!(config["vocab_size"], vocabulary.len());
    // the answers of the task, each with its leading space, are single tokens
    assert!(vocabulary.contains_key("Ġgreat") && vocabulary.contains_key("Ġterrible"));
}

#[test]
fn rows_are_balanced_and_no_validation_row_is_a_training_row() {
    let train = rows(zograd_embedded::TRAIN);
    let validation = rows(zograd_embedded::VALIDATION);
    assert!(train.len() >= 1000 && validation.len() >= 400);
    for rows in [&train, &validation] {
        assert!(rows.iter().all(|row| row.1 < 2));
        let positive = rows.iter().filter(|row| row.1 == 1).count();
        assert_eq!(2 * positive, rows.len());
    }
    let all: HashSet<&str> = train
        .iter()
        .chain(&validation)
        .map(|row| row.0.as_str())
        .collect();
    assert_eq!(all.len(), train.len() + validation.len());
}

#[test]
fn unpacking_writes_the_same_bytes_and_names_what_it_cannot_write() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    zograd_embedded::unpack(folder.path()).expect("writable");
    // a second time over the first
    zograd_embedded::unpack(folder.path()).expect("writable");
    let read = |path: &str| std::fs::read(folder.path().join(path)).expect(path);
    assert_eq!(read("model/model.safetensors"), zograd_embedded::MODEL);
    assert_eq!(
        read("model/config.json"),
        zograd_embedded::CONFIG.as_bytes()
    );
    assert_eq!(
        read("data/validation.jsonl"),
        zograd_embedded::VALIDATION.as_bytes()
    );

    let file = folder.path().join("README.md");
    let error = zograd_embedded::unpack(&file).expect_err("a file is no folder");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}
