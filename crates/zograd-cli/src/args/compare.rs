//! Flags of `zograd compare`: those of `sweep`, and how it is compared.

use super::sweep::SweepArgs;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use zograd_runs::experiment::{Amount, Axis, Rules};

/// `zograd compare`
#[derive(Clone, Debug)]
pub struct CompareArgs {
    /// The values to try, and the settings that all runs share.
    pub sweep: SweepArgs,
    /// How it is compared.
    pub rules: Rules,
}

/// The flags that a sweep has not got.
#[derive(Args, Debug)]
#[command(next_help_heading = "Comparison")]
struct Own {
    /// Forward passes of every point that a learning rate is chosen by [default: a third of the budget of a run]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tune_forwards: Option<u64>,
    /// Examples of every such point instead, each counted as often as it goes through the model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tune_examples: Option<u64>,
    /// Tokens of every such point instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tune_tokens: Option<u64>,
    /// Seconds of training of every such point instead
    #[arg(long, value_name = "S")]
    tune_seconds: Option<f64>,
    /// Batch sizes that each method is tuned over, too, separated by commas; not with a budget in forward passes [default:
    /// the batch size of all]
    #[arg(long, value_name = "B,..", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    tune_batch_size: Vec<u64>,
    /// Seeds of the runs that rates are chosen by; none of those that are compared [default: 0, or the first that
    /// is not compared]
    #[arg(long, value_name = "N,..", value_delimiter = ',')]
    tune_seed: Vec<u64>,
    /// Development loss to be reached [default: what more than half of the runs of the first method reach]
    #[arg(long, value_name = "LOSS")]
    target_loss: Option<f64>,
    /// Development score to be reached, from 0 to 1 [default: what more than half of the runs of the first method reach]
    #[arg(long, value_name = "SCORE")]
    target_score: Option<f64>,
}

/// Flags that mean something a little different here.
const HELP: [(&str, &str); 11] = [
    (
        "config",
        "Take settings from this TOML file; the flags below are keys there (without the dashes), but for those under Comparison",
    ),
    (
        "resume",
        "Resume the comparison in this folder: finished runs are kept, an interrupted one is resumed (--threads goes with it, and \
         --model, --tokenizer and --data where they have moved)",
    ),
    (
        "method",
        "Methods, separated by commas, gradient methods among them; the first is what the others are timed against \
         [default: mezo,gv,greedy,pool-regression]",
    ),
    (
        "lr",
        "Learning rates that each method is tuned over, separated by commas; those of gradient methods beside others are \
         customary ones [default: the preset's or the paper's grid]",
    ),
    (
        "seed",
        "Seeds of the runs that are compared, separated by commas [default: 1,2,3]",
    ),
    (
        "forwards",
        "Budget of every run that is compared, in forward passes [default: 1800]",
    ),
    (
        "examples",
        "Its budget in examples instead, each counted as often as it goes through the model",
    ),
    (
        "tokens",
        "Its budget in tokens instead that go through the layers",
    ),
    (
        "seconds",
        "Its budget in seconds of training instead, evaluations not counted",
    ),
    (
        "test-examples",
        "Test examples of a run: reported, nothing is chosen by them [default: 100]",
    ),
    (
        "out",
        "Folder of the comparison, must not exist yet [default: runs/TASK-compare, numbered if taken]",
    ),
];

impl Args for CompareArgs {
    fn augment_args(command: Command) -> Command {
        let mut command = Own::augment_args(SweepArgs::augment_args(command));
        for (flag, help) in HELP {
            command = command.mut_arg(flag, |arg| arg.help(help));
        }
        // methods are compared at equal budgets, and steps cost what the method makes of them
        command.mut_arg("steps", |arg| arg.hide(true))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for CompareArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let own = Own::from_arg_matches_mut(matches)?;
        let mut rules = Rules::default();
        let count = |n: Option<u64>| n.map(|n| n as f64);
        let amounts = [
            count(own.tune_forwards),
            count(own.tune_examples),
            count(own.tune_tokens),
            own.tune_seconds,
        ];
        let amounts = Axis::BUDGETS.into_iter().zip(amounts);
        let given = amounts.filter_map(|(unit, amount)| Some(Amount::new(unit, amount?)));
        rules.tuning = given.collect();
        rules.tune_batch_size = own.tune_batch_size;
        rules.tune_seed = own.tune_seed;
        rules.target_loss = own.target_loss;
        rules.target_score = own.target_score;
        Ok(Self {
            sweep: SweepArgs::from_arg_matches_mut(matches)?,
            rules,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
