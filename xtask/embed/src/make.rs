//! The whole way from a seed to the files.

use crate::arguments::Arguments;
use crate::corpus::{Documents, TRAIN_ROWS, VALIDATION_ROWS, task_rows};
use crate::pretrain::{Cpu, Schedule, held_out_loss, pretrain};
use crate::probe::Probe;
use crate::readme::Readme;
use crate::{assets, tokenizer};
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Instant;
use tokenizers::Tokenizer;
use zograd_direction::Seed;
use zograd_models::{LoadOptions, Model, ModelConfig};

/// Where the files are kept.
const ASSETS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../crates/zograd-embedded/assets"
);

/// Documents that measure the loss and are never trained on.
const HELD_OUT: usize = 256;

/// Documents the tokenizer is trained on: the first ones of the corpus.
const TOKENIZER_DOCUMENTS: usize = 20_000;

/// One in so many documents is long: 75 tokens. 128 positions leave room for demonstrations.
const POSITIONS: usize = 128;

/// Makes the assets; a few minutes on two cores.
///
/// # Errors
///
/// A file cannot be written, or training fails ([`pretrain()`]).
pub fn run(arguments: &Arguments) -> Result<()> {
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| Path::new(ASSETS).to_owned());
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let start = Instant::now();
    let seed = Seed::new(arguments.seed);
    let stream = |index| seed.child(index);

    let mut taken = HashSet::new();
    let train = task_rows(stream(0), TRAIN_ROWS, &mut taken);
    let validation = task_rows(stream(1), VALIDATION_ROWS, &mut taken);
    assets::write_rows(&out.join("train.jsonl"), &train)?;
    assets::write_rows(&out.join("validation.jsonl"), &validation)?;

    let documents: Vec<String> = Documents::new(stream(2), &taken)
        .take(arguments.steps * arguments.batch)
        .collect();
    let texts = documents.iter().take(TOKENIZER_DOCUMENTS);
    let tokenizer = tokenizer::train(texts.map(String::as_str), arguments.vocabulary)?;
    tokenizer
        .save(out.join("tokenizer.json"), true)
        .map_err(|error| anyhow!("cannot write the tokenizer: {error}"))?;
    let encode = |texts: Vec<String>| -> Result<Vec<Vec<u32>>> {
        texts.iter().map(|text| encode(&tokenizer, text)).collect()
    };
    let documents = encode(documents)?;
    let held_out = encode(Documents::new(stream(3), &taken).take(HELD_OUT).collect())?;
    let tokens: usize = documents.iter().map(Vec::len).sum();
    let config = config(arguments, tokenizer.get_vocab_size(true))?;
    println!(
        "{} documents, {tokens} tokens; {} parameters",
        documents.len(),
        config.num_parameters()
    );

    let schedule = Schedule {
        steps: arguments.steps,
        peak: arguments.learning_rate,
    };
    let model = pretrain(&config, documents, &held_out, schedule, stream(4))?;
    let weights = out.join("model.safetensors");
    assets::write_f16(&weights, &model)?;
    let shape = config.to_json(burn::tensor::DType::F16);
    fs::write(out.join("config.json"), shape).context("cannot write config.json")?;

    // what is measured is what is shipped: the rounded weights, read back from the files
    let (model, _) = Model::<Cpu>::load(&out, &LoadOptions::default(), &Default::default())?;
    let readme = Readme {
        arguments,
        config: &config,
        tokens,
        held_out: held_out_loss(&model, &held_out)?,
        probe: Probe::new(&model, &tokenizer, &validation)?,
        bytes: file_size(&weights)?,
    };
    println!("held-out loss {:.4}", readme.held_out);
    println!("{}", readme.probe);
    println!("{:.0} s", start.elapsed().as_secs_f64());
    fs::write(out.join("README.md"), readme.to_string()).context("cannot write README.md")
}

/// A document between two `</s>`.
fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let encoding = tokenizer
        .encode(text, true)
        .map_err(|error| anyhow!("cannot encode {text:?}: {error}"))?;
    let mut ids = encoding.get_ids().to_vec();
    ids.push(tokenizer::BOS);
    Ok(ids)
}

fn config(arguments: &Arguments, vocabulary: usize) -> Result<ModelConfig> {
    let hidden = arguments.hidden;
    let config = json!({
        "_name_or_path": "zograd-embedded",
        "architectures": ["OPTForCausalLM"],
        "model_type": "opt",
        "activation_function": "relu",
        "attention_dropout": 0.0,
        "bos_token_id": tokenizer::BOS,
        "do_layer_norm_before": true,
        "dropout": 0.0,
        "enable_bias": true,
        "eos_token_id": tokenizer::BOS,
        "ffn_dim": 4 * hidden,
        "hidden_size": hidden,
        "init_std": 0.06,
        "layer_norm_elementwise_affine": true,
        "layerdrop": 0.0,
        "max_position_embeddings": POSITIONS,
        "num_attention_heads": 4,
        "num_hidden_layers": arguments.layers,
        "pad_token_id": 1,
        "prefix": "</s>",
        "tie_word_embeddings": true,
        "torch_dtype": "float16",
        "use_cache": true,
        "vocab_size": vocabulary,
        "word_embed_proj_dim": hidden,
    });
    Ok(ModelConfig::from_json(&config.to_string())?)
}

fn file_size(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole way with a model that has no time to learn anything; its files load, and a second run
    /// makes the same ones. (That training does is tested in `pretrain.rs`.)
    #[test]
    fn makes_loadable_and_reproducible_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let make = |name: &str| {
            let out = folder.path().join(name);
            let arguments = Arguments {
                seed: 5,
                steps: 2,
                batch: 100,
                learning_rate: 1e-3,
                hidden: 16,
                layers: 1,
                vocabulary: 512,
                out: Some(out.clone()),
            };
            run(&arguments).expect("makes the files");
            out
        };
        let (first, second) = (make("first"), make("second"));
        let read = |folder: &Path, file| fs::read(folder.join(file)).expect(file);
        for file in [
            "config.json",
            "tokenizer.json",
            "train.jsonl",
            "validation.jsonl",
        ] {
            let same = read(&first, file) == read(&second, file);
            assert!(same, "{file} differs");
        }
        let size = |folder| read(folder, "model.safetensors").len();
        assert_eq!(size(&first), size(&second));
        let readme = fs::read_to_string(first.join("README.md")).expect("README.md");
        assert!(readme.contains("--seed 5"));
    }
}
