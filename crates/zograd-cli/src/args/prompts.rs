//! Flags of `zograd prompts`.

use super::names::{FormName, SplitName};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `zograd prompts`
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PromptsArgs {
    /// Take settings from this TOML file; every flag below is a key there (without the dashes)
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// The task, such as sst2, or the TOML file of your own
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// Folder with train and validation rows (JSONL or Parquet, Hugging Face field names)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder with tokenizer.json, or vocab.json and merges.txt
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Which rows [default: validation]
    #[arg(long, value_enum)]
    pub split: Option<SplitName>,
    /// First row to show [default: 0]
    #[arg(long, value_name = "N")]
    pub offset: Option<usize>,
    /// How many rows to show [default: 5]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Which form of the prompts [default: zero-shot]
    #[arg(long, value_enum)]
    pub form: Option<FormName>,
    /// Demonstrations of the icl forms: the first N train rows [default: 2]
    #[arg(long, value_name = "N")]
    pub shots: Option<usize>,
    /// Longest prompt in tokens, cut from the left [default: 2048]
    #[arg(long, value_name = "N")]
    pub max_length: Option<usize>,
    /// Token id that begins every prompt [default: the tokenizer's; the originals use 0]
    #[arg(long, value_name = "ID")]
    pub bos_id: Option<u32>,
    /// Print one JSON object a row
    #[arg(long)]
    #[serde(skip)]
    pub json: bool,
}
