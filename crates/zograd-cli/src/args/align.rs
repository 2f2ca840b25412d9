//! Flags of `zograd align`: those of `sweep`, and how many estimates.

use super::sweep::SweepArgs;
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// `zograd align`
#[derive(Clone, Debug)]
pub struct AlignArgs {
    /// The methods, and the settings that all share.
    pub sweep: SweepArgs,
    /// Estimates of each method.
    pub draws: usize,
}

/// The flags that a sweep has not got.
#[derive(Args, Debug)]
#[command(next_help_heading = "Alignment")]
struct Own {
    /// Estimates of each method, each on another batch
    #[arg(long, value_name = "N", default_value_t = 32)]
    draws: usize,
}

/// Flags that mean something a little different here.
const HELP: [(&str, &str); 4] = [
    (
        "config",
        "Take settings from this TOML file; the flags of a sweep are keys there (without the dashes), draws is not",
    ),
    (
        "method",
        "Methods whose estimates are held against the gradient, separated by commas [default: mezo,gv,greedy,pool-regression]",
    ),
    (
        "train-examples",
        "Training rows, on which the gradient is taken and from which batches are drawn [default: 1000]",
    ),
    ("seed", "Seed of the batches and the noise [default: 0]"),
];

/// What matters to those only who train.
pub const UNUSED: [&str; 16] = [
    "lr",
    "lr-forwards",
    "schedule",
    "weight-decay",
    "decay-toward",
    "steps",
    "forwards",
    "examples",
    "tokens",
    "seconds",
    "eval-every",
    "eval-every-forwards",
    "patience",
    "best-by",
    "guard",
    "out",
];

impl Args for AlignArgs {
    fn augment_args(command: Command) -> Command {
        let mut command = Own::augment_args(SweepArgs::augment_args(command));
        for (flag, help) in HELP {
            command = command.mut_arg(flag, |arg| arg.help(help));
        }
        for flag in UNUSED.into_iter().chain(["resume"]) {
            command = command.mut_arg(flag, |arg| arg.hide(true));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AlignArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let own = Own::from_arg_matches_mut(matches)?;
        Ok(Self {
            sweep: SweepArgs::from_arg_matches_mut(matches)?,
            draws: own.draws,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
