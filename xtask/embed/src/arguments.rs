//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// What to make. The defaults are what the repository ships.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "zograd-embed",
    about = "Makes the embedded model and task anew, from a seed"
)]
pub struct Arguments {
    /// Everything random comes from this number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Steps of AdamW.
    #[arg(long, default_value_t = 1500)]
    pub steps: usize,
    /// Documents in a step.
    #[arg(long, default_value_t = 48)]
    pub batch: usize,
    /// The largest learning rate.
    #[arg(long, default_value_t = 2e-3)]
    pub learning_rate: f64,
    /// Width of the model.
    #[arg(long, default_value_t = 128)]
    pub hidden: usize,
    /// Layers of the model.
    #[arg(long, default_value_t = 3)]
    pub layers: usize,
    /// Entries of the vocabulary.
    #[arg(long, default_value_t = 768)]
    pub vocabulary: usize,
    /// Where to write, instead of crates/zograd-embedded/assets.
    #[arg(long)]
    pub out: Option<PathBuf>,
}
