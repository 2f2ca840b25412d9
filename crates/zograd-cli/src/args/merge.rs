//! Flags of `zograd merge`.

use super::names::DtypeName;
use clap::Args;
use std::path::PathBuf;

/// `zograd merge`
#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    /// The model the adapter was trained on: a folder or hub id [default: the tiny built-in OPT]
    #[arg(long, value_name = "DIR|ID")]
    pub model: Option<String>,
    /// Tokenizer folder to copy from, if the model folder has none
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// The LoRA adapter, such as RUN/best, or a folder of PEFT's
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Folder for the merged model, must not exist yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How to store the merged weights [default: f32]
    #[arg(long, value_enum)]
    pub dtype: Option<DtypeName>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}
