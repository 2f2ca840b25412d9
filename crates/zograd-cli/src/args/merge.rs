//! Flags of `zograd merge`.

use super::shared::{ModelArgs, storage};
use clap::Args;
use std::path::PathBuf;
use zograd_runs::Storage;

/// `zograd merge`
#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// The LoRA adapter, such as RUN/best, or a folder of PEFT's
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Folder for the merged model, must not exist yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How to store the merged weights [default: f32]
    #[arg(long, value_parser = storage())]
    pub dtype: Option<Storage>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}
