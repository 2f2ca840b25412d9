//! A model folder and rows for a whole run of the command.

use anyhow::{Context, Result};
use burn_ndarray::NdArray;
use std::fs;
use std::path::Path;
use zograd_models::{Model, ModelConfig, save_pretrained};

/// Rows of the built-in task that make one row here: prompts of about 60 tokens, about as long as real ones.
const ROWS_PER_ROW: usize = 5;

/// Writes a model of random f32 weights with the built-in tokenizer to `folder/model`, and rows in the layout of
/// SST-2 to `folder/data`.
///
/// # Errors
/// Something cannot be written.
pub fn write(config: &ModelConfig, folder: &Path) -> Result<()> {
    let model = Model::<NdArray>::init(config, &Default::default());
    save_pretrained(&model, config, None, &folder.join("model"))?;
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("model/tokenizer.json", zograd_embedded::TOKENIZER)?;
    fs::create_dir_all(folder.join("data"))?;
    write("data/train.jsonl", &longer(zograd_embedded::TRAIN)?)?;
    write(
        "data/validation.jsonl",
        &longer(zograd_embedded::VALIDATION)?,
    )
}

/// The rows, several sentences joined to one.
fn longer(rows: &str) -> Result<String> {
    let rows: Vec<serde_json::Value> = rows
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let joined = rows.chunks(ROWS_PER_ROW).enumerate().map(|(idx, chunk)| {
        let sentences = chunk.iter().filter_map(|row| row["sentence"].as_str());
        let sentence = sentences.collect::<Vec<_>>().join(" ");
        let label = &chunk[0]["label"];
        serde_json::json!({"sentence": sentence, "label": label, "idx": idx}).to_string() + "\n"
    });
    Ok(joined.collect())
}
