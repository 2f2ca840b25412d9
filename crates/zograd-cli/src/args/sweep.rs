//! Flags of `zograd sweep`: those of `train`, of which four take lists.

use super::settings::{Flags, HasSettings};
use super::train::Train;
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};
use zograd_runs::experiment::Lists;
use zograd_runs::{Given, Keys, Result};

/// `zograd sweep`
#[derive(Clone, Debug)]
pub struct SweepArgs {
    /// The values to try.
    pub lists: Lists,
    /// All other flags; those of the lists are not set here.
    pub train: Flags<Sweep>,
}

/// `zograd sweep`
#[derive(Clone, Debug)]
pub enum Sweep {}

impl HasSettings for Sweep {
    fn keys() -> Keys {
        Train::keys()
    }

    const RESUME: &'static str = "Resume the sweep in this folder: finished points are kept, an interrupted one is resumed (--threads goes with it, and \
         --model, --tokenizer and --data where they have moved)";
}

impl SweepArgs {
    /// What was given by flags, completed by the file.
    ///
    /// # Errors
    /// A file that cannot be read, or has a mistake.
    pub fn with_file(&self) -> Result<(Lists, Given)> {
        let (lists, given) = (self.lists.clone(), self.train.given.clone());
        let Some(file) = &self.train.config else {
            return Ok((lists, given));
        };
        let read = Lists::read(file, &Sweep::keys());
        let (more, file) = read.map_err(|error| error.within("`config`"))?;
        Ok((lists.or(more), given.or(file)))
    }
}

/// A learning rate of those that are tried.
fn rate(text: &str) -> Result<f64, String> {
    match text {
        "auto" => {
            Err("learning rates are tried here, not measured; name numbers, or leave it out".into())
        }
        _ => text.parse().map_err(|_| "it takes a number".into()),
    }
}

/// The flags that take lists.
const LISTS: [(&str, &str, &str); 4] = [
    (
        "lr",
        "LR,..",
        "Learning rates, separated by commas [default: the preset's or the paper's grid; customary ones for adam]",
    ),
    (
        "eps",
        "E,..",
        "Perturbation scales, separated by commas; gradient methods have none [default: the preset's or the paper's grid]",
    ),
    (
        "method",
        "METHOD,..",
        "Methods, separated by commas; gradient and zeroth-order methods one kind at a time [default: gv]",
    ),
    (
        "seed",
        "N,..",
        "Seeds, separated by commas: every point is run with each, and chosen by the mean [default: 0]",
    ),
];

/// Flags that mean something a little different here.
const HELP: [(&str, &str); 4] = [
    ("steps", "Steps of every point, instead of forward passes"),
    ("forwards", "Forward passes of every point [default: 600]"),
    (
        "test-examples",
        "Test examples of a point: reported, not chosen by [default: 100]",
    ),
    (
        "out",
        "Folder of the sweep, must not exist yet [default: runs/TASK-sweep, numbered if taken]",
    ),
];

impl Args for SweepArgs {
    fn augment_args(command: Command) -> Command {
        let mut command = Flags::<Sweep>::augment_args(command);
        for (flag, value, help) in LISTS {
            command = command.mut_arg(flag, |arg| {
                arg.action(ArgAction::Append)
                    .value_delimiter(',')
                    .value_name(value)
                    .help(help)
            });
        }
        for (flag, help) in HELP {
            command = command.mut_arg(flag, |arg| arg.help(help));
        }
        let command = command.mut_arg("lr-forwards", |arg| arg.hide(true));
        command.mut_arg("lr", |arg| arg.value_parser(rate))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SweepArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        fn list<T: Clone + Send + Sync + 'static>(m: &mut ArgMatches, flag: &str) -> Vec<T> {
            m.remove_many(flag).into_iter().flatten().collect()
        }
        let mut lists = Lists::default();
        lists.lr = list(matches, "lr");
        lists.eps = list(matches, "eps");
        lists.method = list(matches, "method");
        lists.seed = list(matches, "seed");
        Ok(Self {
            lists,
            // finds these gone
            train: Flags::from_arg_matches_mut(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
