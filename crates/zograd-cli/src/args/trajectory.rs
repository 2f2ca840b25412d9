//! Flags of `zograd replay`, `zograd export` and `zograd log`.

use super::shared::{MachineArgs, ModelArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `zograd replay`
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The log, such as RUN/trajectory.zog
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Folder for the tuned model, must not exist yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Stop after this step [default: the last]
    #[arg(long, value_name = "N")]
    pub to_step: Option<u64>,
    /// Stop after the step whose weights were the best, as summary.json beside the log says
    #[arg(long, conflicts_with = "to_step")]
    pub best: bool,
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `zograd export`
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Folder of a finished run
    pub run: PathBuf,
    /// What is packed, said or not: the log up to the best step, the settings and the hashes of the weights at both
    /// ends; with the base model it is the tuned model, in some tens of bytes a step
    #[arg(long)]
    pub log_only: bool,
    /// Folder to pack it into, must not exist yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `zograd log`
#[derive(Clone, Debug, Subcommand)]
pub enum LogCommand {
    /// What a log holds, in a few lines
    Show(LogArgs),
    /// Check a log: checksums, order, and that every update follows from the logged losses
    Verify(LogArgs),
    /// Print a log as JSON lines: the header, then one line a step
    Export(LogArgs),
}

/// The log to look at.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// The log, such as RUN/trajectory.zog
    pub file: PathBuf,
    /// Print JSON instead of text (`export` always does)
    #[arg(long)]
    pub json: bool,
}
