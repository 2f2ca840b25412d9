//! Flags of `zograd eval`.

use super::is_false;
use super::names::{BackendName, DtypeName, SplitName};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `zograd eval`
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct EvalArgs {
    /// Take settings from this TOML file; every flag below is a key there (without the dashes)
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// A Hugging Face model folder, or a hub id such as facebook/opt-125m [default: a tiny built-in OPT]
    #[arg(long, value_name = "DIR|ID", help_heading = "Input")]
    pub model: Option<String>,
    /// Folder of a LoRA or prefix adapter of the model, such as RUN/best, or one of PEFT's (LoRA)
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub adapter: Option<PathBuf>,
    /// Tokenizer folder, if the model folder has none
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub tokenizer: Option<PathBuf>,
    /// The task, such as sst2, or the TOML file of your own [default: a small sentiment task that is built in]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    pub task: Option<String>,
    /// Folder with train and validation rows (JSONL or Parquet, Hugging Face field names)
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub data: Option<PathBuf>,
    /// Which rows [default: validation]
    #[arg(long, value_enum, help_heading = "Input")]
    pub split: Option<SplitName>,
    /// How many of them, drawn with --seed [default: all]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub test_examples: Option<usize>,
    /// Demonstrations before each prompt (in-context learning), drawn from the train rows [default: 0]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub shots: Option<usize>,
    /// Calibrate by surface form competition: a candidate's score is what it gains by the input
    #[arg(long, conflicts_with = "icl_sfc", help_heading = "Input")]
    #[serde(skip_serializing_if = "is_false")]
    pub sfc: bool,
    /// The same, with the demonstrations also before the prompts without input
    #[arg(long, help_heading = "Input")]
    #[serde(skip_serializing_if = "is_false")]
    pub icl_sfc: bool,
    /// Write answers by a search with this many beams (tasks with written answers) [default: greedily]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub beams: Option<usize>,
    /// Seed of the draws [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Input")]
    pub seed: Option<u64>,
    /// Token id that begins every prompt [default: the tokenizer's; the originals use 0]
    #[arg(long, value_name = "ID", help_heading = "Input")]
    pub bos_id: Option<u32>,
    /// Longest prompt in tokens, cut from the left [default: the model's positions]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub max_length: Option<usize>,
    /// Longest written answer in tokens; prompts leave room for it (tasks with written answers) [default: 50]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub max_new_tokens: Option<usize>,

    /// Examples of a forward [default: 32]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub eval_batch_size: Option<usize>,
    /// Where to compute [default: ndarray]
    #[arg(long, value_enum, help_heading = "Run")]
    pub backend: Option<BackendName>,
    /// How to store the weights [default: f32]
    #[arg(long, value_enum, help_heading = "Run")]
    pub dtype: Option<DtypeName>,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub threads: Option<usize>,
    /// Write one JSON line per example: index, prediction, and the label and the candidates' scores, or
    /// the right answers and their overlap
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub predictions: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, help_heading = "Run")]
    #[serde(skip)]
    pub json: bool,
}
