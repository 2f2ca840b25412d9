//! Flags. Those of `train`, `sweep`, `eval` and `prompts` are made from settings, which may also stand in the file given
//! with `--config`; flags win.

mod eval;
mod generate;
mod merge;
mod prompts;
mod report;
mod settings;
mod shared;
mod sweep;
mod train;
mod trajectory;

pub use eval::EvalArgs;
pub use generate::GenerateArgs;
pub use merge::MergeArgs;
pub use prompts::{FormName, PromptOptions, Prompts, PromptsArgs};
pub use report::{PresetsArgs, ReportArgs};
pub use settings::HasSettings;
pub use sweep::SweepArgs;
pub use train::TrainArgs;
pub use trajectory::{ExportArgs, LogArgs, LogCommand, ReplayArgs};

use clap::{CommandFactory, Parser, Subcommand};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// Fine-tunes OPT language models with forward passes only (MeZO, MeZO-GV, MeZO-Greedy).
#[derive(Debug, Parser)]
#[command(name = "zograd", version, about, max_term_width = 100)]
#[command(after_help = "\
Examples:
  zograd train                              a tiny model and task that are built in, about a minute
  zograd train --model DIR --task sst2 --data DIR --method gv --pool 4 --lr 1e-4 --forwards 3000
  zograd eval --model DIR --task sst2 --data DIR --predictions out.jsonl
  zograd generate --model DIR --prompt Once --max-new-tokens 20
  zograd train --model DIR --task sst2 --data DIR --tune lora
  zograd train --model DIR --task sst2 --data DIR --method adam --forwards 3000   with gradients, to compare
  zograd eval --model DIR --adapter runs/sst2-gv/best --task sst2 --data DIR
  zograd train --preset paper/opt-13b/sst2/gv --data DIR
  zograd sweep --model DIR --task sst2 --data DIR --lr 1e-5,3e-5,1e-4 --eps 1e-3
  zograd report runs/*                      curves and tables on one page
  zograd train --resume runs/sst2-gv        go on after Ctrl-C, kill -9 or a power cut
  zograd train --resume runs/sst2-gv --steps 9000   go on behind the end
  zograd replay --log runs/sst2-gv/trajectory.zog --model DIR --out tuned
  zograd prompts --task sst2 --data DIR --tokenizer DIR --limit 2

Exit codes: 0 done, 1 failed while running or blown up, 2 wrong input, 130 or 143 interrupted (and saved).
Environment: NO_COLOR turns colours off; HF_HOME is where models from the hub are cached;
RAYON_NUM_THREADS limits threads like --threads; ZOGRAD_LOG=debug tells more.")]
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
    /// Compare runs: one HTML page, pictures, tables
    Report(ReportArgs),
    /// List the named settings: the paper's experiments
    Presets(PresetsArgs),
    /// Measure a model on a task
    Eval(Box<EvalArgs>),
    /// Continue a text
    Generate(Box<GenerateArgs>),
    /// Rebuild the weights of a run from its trajectory log, without a forward pass
    Replay(Box<ReplayArgs>),
    /// Pack a tuned model as its trajectory log, to be rebuilt from the base model by replay
    Export(ExportArgs),
    /// Add a LoRA adapter to the weights of its model
    Merge(Box<MergeArgs>),
    /// Show, check or export a trajectory log
    #[command(subcommand)]
    Log(LogCommand),
    /// Show the exact text and token ids of a task's prompts
    Prompts(Box<PromptsArgs>),
}

/// A text that names settings in backquotes, with flags in their place: `lr = 1` becomes --lr 1.
pub fn as_flags(text: &str) -> String {
    static FLAGS: OnceLock<BTreeSet<String>> = OnceLock::new();
    let flags = FLAGS.get_or_init(flags);
    let mut line = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        line.push_str(before);
        let Some((quoted, after)) = after.split_once('`') else {
            rest = &rest[before.len()..];
            break;
        };
        let (key, value) = quoted.split_once(" = ").unwrap_or((quoted, ""));
        // inside a word it is part of somebody's name for something
        let joins = |c: char| c.is_alphanumeric() || "/`_\"'".contains(c);
        let name_goes_on = after.strip_prefix('.').unwrap_or(after).starts_with(joins);
        let alone = !before.ends_with(joins) && !name_goes_on;
        line.push_str(&match (alone && flags.contains(key), value) {
            (false, _) => format!("`{quoted}`"),
            (true, "") => format!("--{key}"),
            (true, value) => format!("--{key} {value}"),
        });
        rest = after;
    }
    line + rest
}

/// The flags of all commands.
fn flags() -> BTreeSet<String> {
    let command = Cli::command();
    let all = command.get_subcommands().flat_map(|sub| {
        let nested = sub.get_subcommands().flat_map(clap::Command::get_arguments);
        sub.get_arguments().chain(nested)
    });
    all.filter_map(|arg| arg.get_long().map(String::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_in_words_become_flags() {
        for (words, flags) in [
            ("`lr = -1`: use more", "--lr -1: use more"),
            ("`pool`: none", "--pool: none"),
            ("run `zograd presets`", "run `zograd presets`"),
            ("an odd ` one", "an odd ` one"),
            ("go on, `lr = 2e-4`.", "go on, --lr 2e-4."),
            ("/tmp/`lr`/x is gone", "/tmp/`lr`/x is gone"),
            ("no \"`pool`\" here", "no \"`pool`\" here"),
        ] {
            assert_eq!(as_flags(words), flags);
        }
    }
}
