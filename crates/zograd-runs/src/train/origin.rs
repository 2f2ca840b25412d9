//! What a run is made of, as hashes.

use crate::error::{Blame, Result};
use crate::folder::{Hash, Origin, file_hash, json_hash};
use crate::inputs::Sources;
use burn::tensor::DType;
use serde::Serialize;
use std::path::Path;
use zograd_models::{ModelConfig, gguf};
use zograd_tasks::{Prompt, Sample, Splits};

/// The files of a folder that a tokenizer may be read from.
const TOKENIZER_FILES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
];

/// What a run is made of.
///
/// # Errors
/// A file that was read cannot be read again.
pub(super) fn origin(
    sources: &Sources,
    config: &ModelConfig,
    splits: &Splits,
    prompts: [&[Prompt]; 3],
) -> Result<Origin> {
    let rows = [&splits.train, &splits.dev, &splits.test];
    let rows = rows.map(|samples| samples.iter().map(row).collect::<Vec<_>>());
    Ok(Origin {
        model: model_hash(config),
        task: task_hash(sources)?,
        tokenizer: tokenizer_hash(&sources.tokenizer)?,
        rows: json_hash(&rows)?,
        prompts: json_hash(&prompts)?,
    })
}

/// Of the model's shape, whatever the format of its numbers, which is the run's, and of what ends a text: another file than
/// config.json may say that.
fn model_hash(config: &ModelConfig) -> String {
    let mut hash = Hash::new();
    hash.part(config.to_json(DType::F32).as_bytes());
    hash.part(format!("{:?}", config.eos_token_ids).as_bytes());
    hash.short()
}

/// What a task made of a row.
fn row(sample: &Sample) -> impl Serialize + '_ {
    let cloze = &sample.cloze;
    let texts = (&cloze.context, &cloze.endings, &sample.answers);
    (sample.row, texts, &sample.correct)
}

/// Of the task's file, or of the name of one that is built in. The name of one that was made of columns is that of the rows'
/// file, which may change.
fn task_hash(sources: &Sources) -> Result<String> {
    let text = sources.task_file.as_ref().unwrap_or(&sources.task_name);
    if !sources.task_is_made {
        return Ok(hash(text.as_bytes()));
    }
    let mut table: toml::Table = text.parse().or_input()?;
    table.remove("name");
    Ok(hash(table.to_string().as_bytes()))
}

fn tokenizer_hash(folder: &Path) -> Result<String> {
    let mut hash = Hash::new();
    if gguf::is_gguf(folder) {
        let model = gguf::GgufModel::open(folder).about("`tokenizer`")?;
        let json = model.tokenizer_json().about("`tokenizer`")?;
        hash.part(json.to_string().as_bytes());
    }
    for name in TOKENIZER_FILES {
        let path = folder.join(name);
        if zograd_files::exists(&path) {
            hash.part(name.as_bytes());
            hash.part(file_hash(&path).about_file(&path)?.as_bytes());
        }
    }
    Ok(hash.short())
}

fn hash(bytes: &[u8]) -> String {
    let mut hash = Hash::new();
    hash.part(bytes);
    hash.short()
}
