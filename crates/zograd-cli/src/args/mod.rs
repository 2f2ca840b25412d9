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

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::OnceLock;
use zograd_runs::elsewhere;

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
  zograd replay --log runs/sst2-gv/trajectory.zog --model DIR --out tuned
  zograd prompts --task sst2 --data DIR --tokenizer DIR --limit 2

Exit codes: 0 done, 1 failed while running, 2 wrong input, 130 or 143 interrupted (and saved).
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
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
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
    let matches = command().try_get_matches_from(std::env::args_os())?;
    Cli::from_arg_matches(&matches)
}

/// The command. A value may begin with a minus, be it only to be refused by the name of its flag.
pub fn command() -> clap::Command {
    with_negative_numbers(Cli::command())
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let command = command.mut_subcommands(with_negative_numbers);
    command.mut_args(|arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    })
}

/// What to use for a flag that this command does not have, but others programs do; settings stand in backquotes.
pub fn advice(command: &str, flag: &str) -> Option<String> {
    let name = flag.trim_start_matches('-');
    let all = Cli::command();
    let own = all.find_subcommand(command)?.get_arguments();
    let own: BTreeSet<&str> = own.filter_map(clap::Arg::get_long).collect();
    let with_dashes = name.replace('_', "-");
    if own.contains(with_dashes.as_str()) {
        return Some(format!("use `{with_dashes}`"));
    }
    let advice = elsewhere(name)?;
    let key = advice.split('`').nth(1);
    let key = key.map(|quoted| quoted.split(" = ").next().unwrap_or(quoted));
    // another command has it
    key.is_none_or(|key| own.contains(key))
        .then(|| advice.into())
}

/// The flags whose values are not UTF-8, among these arguments.
pub fn not_utf8(args: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let mut found = Vec::new();
    let mut before = String::new();
    for arg in args {
        let text = arg.to_string_lossy().into_owned();
        if arg.to_str().is_none() {
            found.push(match (text.split_once('='), before.starts_with("--")) {
                (Some((flag, value)), _) if flag.starts_with("--") => format!("{flag} {value}"),
                (_, true) => format!("{before} {text}"),
                (_, false) => text.clone(),
            });
        }
        before = text;
    }
    found
}

/// A text that names settings in backquotes, with flags in their place: `lr = 1` becomes --lr 1. Backquotes in what
/// was given on the command line are part of somebody's name for something.
pub fn as_flags(text: &str) -> String {
    static GIVEN: OnceLock<Vec<String>> = OnceLock::new();
    let args = || std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let given = GIVEN.get_or_init(|| args().filter_map(|arg| name_of(&arg)).collect());
    as_flags_but(text, given)
}

/// The same, with these names left as they are.
fn as_flags_but(text: &str, names: &[String]) -> String {
    // a character that no text has stands for each
    let marks: Vec<(char, &String)> = ('\u{f0000}'..).zip(names).collect();
    let marked = marks.iter().fold(text.to_owned(), |text, (mark, name)| {
        text.replace(*name, mark.encode_utf8(&mut [0; 4]))
    });
    let line = quoted_as_flags(&marked);
    marks
        .iter()
        .fold(line, |line, (mark, name)| line.replace(*mark, name))
}

/// What an argument may be called in a text that must not be taken for a setting: with backquotes of its own, or in
/// those of the text.
fn name_of(arg: &str) -> Option<String> {
    let value = value_of(arg);
    match value.contains('`') {
        true => Some(value.into()),
        false if value.is_empty() || value.starts_with("--") => None,
        false => Some(format!("`{value}`")),
    }
}

/// The value in `--flag=value`, or the whole argument.
fn value_of(arg: &str) -> &str {
    match arg.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => value,
        _ => arg,
    }
}

fn quoted_as_flags(text: &str) -> String {
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
        // a list of a file is written otherwise on a command line
        let is_flag = alone && flags.contains(key) && !value.starts_with('[');
        line.push_str(&match (is_flag, value) {
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
            (
                "`lora-targets = [\"q\"]`: no",
                "`lora-targets = [\"q\"]`: no",
            ),
        ] {
            assert_eq!(as_flags(words), flags);
        }
    }

    #[test]
    fn backquotes_in_what_was_given_are_left_alone() {
        let given = ["train", "`lr`", "--task=a `pool` b", "seed"];
        let given: Vec<String> = given.into_iter().filter_map(name_of).collect();
        for (words, flags) in [
            ("`model`: `lr` is no folder", "--model: `lr` is no folder"),
            (
                "`task = a `pool` b` needs `data`",
                "--task a `pool` b needs --data",
            ),
            ("`task = `lr`` needs `data`", "--task `lr` needs --data"),
            (
                "`task`: there is no task `seed`",
                "--task: there is no task `seed`",
            ),
            ("`pool = 0`, `seed = 1`", "--pool 0, --seed 1"),
        ] {
            assert_eq!(as_flags_but(words, &given), flags);
        }
    }

    #[test]
    fn flags_of_other_programs_have_the_right_advice() {
        for (command, flag, said) in [
            ("train", "--learning_rate", "use `lr`"),
            ("train", "--weight_decay", "use `weight-decay`"),
            ("train", "--zo_eps", "use `eps`"),
            ("sweep", "--max_steps", "use `steps`"),
            ("eval", "--num_eval", "use `test-examples`"),
            ("train", "--num-train-epochs", "use `steps` (or `forwards`)"),
            ("train", "--save_steps", "leave it out"),
        ] {
            let advice = advice(command, flag).expect(flag);
            assert!(advice.starts_with(said), "{flag}: {advice}");
        }
        assert_eq!(advice("merge", "--num_train"), None);
        assert_eq!(advice("train", "--nonsense"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_utf8_is_named_by_its_flag() {
        use std::os::unix::ffi::OsStringExt;
        let args = [
            &b"train"[..],
            b"--lr",
            b"\xff",
            b"--task=\xffa",
            b"--out",
            b"fine",
            b"\xfe",
        ];
        let args = args.map(|bytes| OsString::from_vec(bytes.to_vec()));
        let found = ["--lr \u{fffd}", "--task \u{fffd}a", "\u{fffd}"];
        assert_eq!(not_utf8(args), found);
    }
}
