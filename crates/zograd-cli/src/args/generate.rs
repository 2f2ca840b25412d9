//! Flags of `zograd generate`.

use super::shared::{MachineArgs, ModelArgs, storage};
use clap::Args;
use std::path::PathBuf;
use zograd_runs::Storage;

/// `zograd generate`
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Use this adapter with the model, or a folder of PEFT's; a run or RUN/best as the model comes with its own
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub adapter: Option<PathBuf>,
    /// The text to continue; may be given several times [default: all of the standard input]
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "file",
        help_heading = "Input"
    )]
    pub prompt: Vec<String>,
    /// Continue the text of this file
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub file: Option<PathBuf>,
    /// Take each text for what a user says to the model, and write the assistant's turn: by the model's chat template, up
    /// to the token that ends a turn
    #[arg(long, help_heading = "Input")]
    pub chat: bool,
    /// What the model is told to be, before the user's turn
    #[arg(long, value_name = "TEXT", requires = "chat", help_heading = "Input")]
    pub system: Option<String>,
    /// File with the chat template, in Jinja [default: the model's own]
    #[arg(long, value_name = "FILE", requires = "chat", help_heading = "Input")]
    pub chat_template: Option<PathBuf>,
    /// Token id that begins the prompt [default: the tokenizer's]
    #[arg(
        long,
        value_name = "ID",
        conflicts_with = "chat",
        help_heading = "Input"
    )]
    pub bos_id: Option<u32>,

    /// The largest number of new tokens [default: 50]
    #[arg(long, value_name = "N", help_heading = "Choice of tokens")]
    pub max_new_tokens: Option<usize>,
    /// Draw tokens at random, the probable ones more often the lower this is [default: the most probable
    /// token each time; 1 with --top-k, --top-p or --seed]
    #[arg(long, value_name = "T", help_heading = "Choice of tokens")]
    pub temperature: Option<f64>,
    /// Draw among the N most probable tokens only
    #[arg(long, value_name = "N", help_heading = "Choice of tokens")]
    pub top_k: Option<usize>,
    /// Draw among the most probable tokens that together have this probability
    #[arg(long, value_name = "P", help_heading = "Choice of tokens")]
    pub top_p: Option<f64>,
    /// Seed of the draws [default: 0]
    #[arg(long, value_name = "N", help_heading = "Choice of tokens")]
    pub seed: Option<u64>,
    /// Search with this many beams instead of drawing
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["temperature", "top_k", "top_p", "seed"],
        help_heading = "Choice of tokens"
    )]
    pub beams: Option<usize>,
    /// End at this text of one token, such as "\n"; may be given several times. The end-of-text token
    /// always ends
    #[arg(long, value_name = "TEXT", help_heading = "Choice of tokens")]
    pub stop: Vec<String>,

    #[command(flatten)]
    pub machine: MachineArgs,
    /// How to store the weights [default: f32]
    #[arg(long, value_parser = storage(), help_heading = "Run")]
    pub dtype: Option<Storage>,
    /// Print one JSON object a prompt
    #[arg(long, help_heading = "Run")]
    pub json: bool,
}
