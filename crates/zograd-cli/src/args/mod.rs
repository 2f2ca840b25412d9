//! Flags. Those of `train`, `sweep`, `eval` and `prompts` are made from settings, which may also stand in the file given
//! with `--config`; flags win.

mod align;
mod compare;
mod convert;
mod data;
mod eval;
mod generate;
mod merge;
mod mistakes;
mod predict;
mod prompts;
mod quoted;
mod report;
mod settings;
mod shared;
mod sweep;
mod train;
mod trajectory;

pub use align::{AlignArgs, UNUSED};
pub use compare::CompareArgs;
pub use convert::ConvertArgs;
pub use data::DataArgs;
pub use eval::EvalArgs;
pub use generate::GenerateArgs;
pub use merge::MergeArgs;
pub use mistakes::{advice, not_utf8};
pub use predict::PredictArgs;
pub use prompts::{FormName, PromptOptions, Prompts, PromptsArgs};
pub use quoted::as_flags;
pub use report::{PresetsArgs, ReportArgs};
pub use settings::HasSettings;
pub use sweep::SweepArgs;
pub use train::TrainArgs;
pub use trajectory::{ExportArgs, LogArgs, LogCommand, ReplayArgs};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

/// Fine-tunes language models (OPT, Llama, Mistral, Qwen, Gemma) with forward passes only (MeZO, MeZO-GV, MeZO-Greedy).
#[derive(Debug, Parser)]
#[command(name = "zograd", version, about, max_term_width = 100)]
#[command(after_help = "\
Examples:
  zograd train                              a tiny model and task that are built in, about a minute
  zograd train --model DIR --task sst2 --data DIR --method gv --pool 4 --lr 1e-4 --forwards 3000
  zograd train --model DIR --data reviews.csv --text review --label sentiment --out my-run
  zograd eval --model my-run                what the weights are for is known: the rows that were held back
  zograd predict --model my-run --data new.csv --out labelled.csv
  zograd eval --model DIR --task sst2 --data DIR --predictions out.jsonl
  zograd generate --model DIR --prompt Once --max-new-tokens 20
  zograd train --model DIR --task sst2 --data DIR --tune lora
  zograd train --model DIR --task sst2 --data DIR --method adam --forwards 3000   with gradients, to compare
  zograd eval --model DIR --adapter runs/sst2-gv/best --task sst2 --data DIR
  zograd train --preset paper/opt-13b/sst2/gv --data DIR
  zograd sweep --model DIR --task sst2 --data DIR --lr 1e-5,3e-5,1e-4 --eps 1e-3
  zograd compare --model DIR --task sst2 --data DIR --method mezo,gv,adam --lr 1e-5,3e-5,1e-4 --forwards 3000
  zograd report runs/*                      curves and tables on one page
  zograd train --resume runs/sst2-gv        go on after Ctrl-C, kill -9 or a power cut
  zograd train --resume runs/sst2-gv --steps 9000   go on behind the end
  zograd replay --log runs/sst2-gv/trajectory.zog --model DIR --out tuned
  zograd prompts --task sst2 --data DIR --tokenizer DIR --limit 2

Exit codes: 0 done, 1 failed while running or blown up, 2 wrong input, 130 or 143 interrupted (and saved).
Environment: NO_COLOR turns colours off; HF_HOME is where models from the hub are cached;
RAYON_NUM_THREADS limits threads like --threads, 1 to 1024; ZOGRAD_LOG=debug tells more.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fine-tune a model on a task and save the best weights
    Train(Box<TrainArgs>),
    /// Try a grid of learning rates and eps on a small budget, and recommend
    Sweep(Box<SweepArgs>),
    /// Compare methods at equal budgets, each at its own best learning rate, over seeds
    Compare(Box<CompareArgs>),
    /// Hold the estimates of methods against the gradient, at the start weights
    Align(Box<AlignArgs>),
    /// Show runs side by side: one HTML page, pictures, tables
    Report(ReportArgs),
    /// List the named settings: the paper's experiments
    Presets(PresetsArgs),
    /// Measure a model on a task
    Eval(Box<EvalArgs>),
    /// Show what is understood of rows: fields, classes, lengths, duplicates
    Data(Box<DataArgs>),
    /// Answer rows: a label with its probabilities, or a text, for each
    Predict(Box<PredictArgs>),
    /// Continue a text
    Generate(Box<GenerateArgs>),
    /// Rebuild the weights of a run from its trajectory log, without a forward pass
    Replay(Box<ReplayArgs>),
    /// Pack a tuned model as its trajectory log, to be rebuilt from the base model by replay
    Export(ExportArgs),
    /// Add a LoRA adapter to the weights of its model
    Merge(Box<MergeArgs>),
    /// Write a model as a GGUF file, the format of llama.cpp
    Convert(Box<ConvertArgs>),
    /// Show, check or export a trajectory log
    #[command(subcommand)]
    Log(LogCommand),
    /// Show the exact text and token ids of a task's prompts
    Prompts(Box<PromptsArgs>),
    /// Say what this machine has of what runs need: processor, memory, backends, disk, caches
    Doctor(DoctorArgs),
    /// Print the manual page, or write those of all subcommands into a folder
    Man(ManArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// `zograd doctor`
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// `zograd man`
#[derive(Clone, Debug, clap::Args)]
pub struct ManArgs {
    /// Write zograd.1 and a page for every subcommand into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<std::path::PathBuf>,
}

/// `zograd completions`
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// The command line of this process.
///
/// # Errors
/// A mistake in it, or help and version, which were asked for.
pub fn parse() -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(with_negative_numbers(std::env::args_os()))?;
    Cli::from_arg_matches(&matches)
}

/// The command.
pub fn command() -> clap::Command {
    Cli::command()
}

/// These arguments, each negative number as the value of the flag before it, be it only to be refused by its name: alone
/// it would be taken for a flag.
fn with_negative_numbers(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut found: Vec<OsString> = Vec::new();
    for arg in args {
        let is_negative = |text: &str| text.starts_with('-') && text.parse::<f64>().is_ok();
        let is_negative = arg
            .to_str()
            .is_some_and(|text| text.split(',').next().is_some_and(is_negative));
        let is_open = |flag: &str| flag.starts_with("--") && flag.len() > 2 && !flag.contains('=');
        match found.last_mut() {
            Some(flag) if is_negative && flag.to_str().is_some_and(is_open) => {
                flag.push("=");
                flag.push(arg);
            }
            _ => found.push(arg),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_negative_number_belongs_to_the_flag_before_it() {
        let joined = |args: &[&str]| with_negative_numbers(args.iter().map(OsString::from));
        for (args, found) in [
            (&["--lr", "-1e-4"][..], &["--lr=-1e-4"][..]),
            (&["--lr", "-1e-4,1"], &["--lr=-1e-4,1"]),
            (&["--eps", "-inf", "--lr"], &["--eps=-inf", "--lr"]),
            (&["--lr=1", "-2"], &["--lr=1", "-2"]),
            (&["--lr", "--eps"], &["--lr", "--eps"]),
            (&["--json", "-h"], &["--json", "-h"]),
            (&["--", "-2"], &["--", "-2"]),
        ] {
            assert_eq!(
                joined(args),
                found.iter().map(OsString::from).collect::<Vec<_>>()
            );
        }
    }
}
