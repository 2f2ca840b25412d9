//! Flags made from settings: key, words, default and choices are declared by whoever owns a setting.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint, value_parser};
use std::marker::PhantomData;
use std::path::PathBuf;
use zograd_runs::{Given, Key, Keys, Result, RunError};
use zograd_select::Kind as ValueKind;

/// A command whose settings may stand in a file.
pub trait HasSettings {
    /// What it has.
    fn keys() -> Keys;

    /// What `--resume` does, if the command has it.
    const RESUME: &'static str = "";
}

/// The flags of such a command.
#[derive(Clone, Debug)]
pub struct Flags<C> {
    /// What was given by flags.
    pub given: Given,
    /// The file to take more settings from.
    pub config: Option<PathBuf>,
    /// The folder to resume in.
    pub resume: Option<PathBuf>,
    /// Print JSON.
    pub json: bool,
    command: PhantomData<C>,
}

impl<C: HasSettings> Flags<C> {
    /// What was given by flags, completed by the file.
    ///
    /// # Errors
    /// A file that cannot be read, or has a mistake.
    pub fn with_file(&self) -> Result<Given> {
        let Some(file) = &self.config else {
            return Ok(self.given.clone());
        };
        let read = Given::read(file, &C::keys());
        let read = read.map_err(|error| error.within("`config`"))?;
        Ok(self.given.clone().or(read))
    }

    /// The folder to resume in, if one is named; what else was given is left to whoever resumes.
    ///
    /// # Errors
    /// A file of settings beside it.
    pub fn resumed(&self) -> Result<Option<&PathBuf>> {
        match (&self.resume, &self.config) {
            (Some(_), Some(_)) => Err(RunError::input(
                "`resume`: a run is resumed with the settings it had; `config` does not go with it",
            )),
            (resume, _) => Ok(resume.as_ref()),
        }
    }
}

impl<C: HasSettings> Args for Flags<C> {
    fn augment_args(command: Command) -> Command {
        let mut command = command.arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Take settings from this TOML file; every flag below is a key there (without the dashes)"),
        );
        if !C::RESUME.is_empty() {
            command = command.arg(
                Arg::new("resume")
                    .long("resume")
                    .value_name("RUN")
                    .value_parser(value_parser!(PathBuf))
                    .help(C::RESUME),
            );
        }
        let keys = C::keys();
        let command = keys
            .iter()
            .fold(command, |command, key| command.arg(flag(key)));
        command.arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print JSON instead of text"),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: HasSettings> FromArgMatches for Flags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let keys = C::keys();
        let given = keys.iter().fold(Given::new(), |given, key| {
            given.with_some(key.setting.key, value(key, matches))
        });
        let resume = match C::RESUME {
            "" => None,
            _ => matches.remove_one("resume"),
        };
        Ok(Self {
            given,
            config: matches.remove_one("config"),
            resume,
            json: matches.get_flag("json"),
            command: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flag of a setting.
fn flag(key: &Key) -> Arg {
    let setting = &key.setting;
    let arg = Arg::new(setting.key)
        .long(setting.key)
        .help(help(key))
        .help_heading((key.heading != "Options").then_some(key.heading));
    if !matches!(setting.kind, ValueKind::Switch) && !setting.value.is_empty() {
        return typed(arg.value_name(setting.value), key);
    }
    typed(arg, key)
}

fn typed(arg: Arg, key: &Key) -> Arg {
    let choices = || {
        let values = key.choices.iter();
        PossibleValuesParser::new(values.map(|c| PossibleValue::new(c.name).help(c.help)))
    };
    match key.setting.kind {
        ValueKind::Switch => arg.action(ArgAction::SetTrue),
        ValueKind::Count => arg.value_parser(count),
        ValueKind::Number => arg.value_parser(value_parser!(f64)),
        ValueKind::NumberOr(word) => arg.value_parser(move |text: &str| number_or(text, word)),
        ValueKind::Path => arg.value_hint(ValueHint::AnyPath),
        ValueKind::Choices(_) => arg
            .action(ArgAction::Append)
            .value_delimiter(',')
            .value_parser(choices()),
        _ if !key.choices.is_empty() => arg.value_parser(choices()),
        _ => arg,
    }
}

/// A whole number in the range of TOML's, as it may stand in a file: `1e3` is one.
fn count(text: &str) -> Result<u64, String> {
    let whole = |x: &f64| x.fract() == 0.0 && (0.0..9e15).contains(x);
    let written_otherwise = || text.parse().ok().filter(whole).map(|x| x as u64);
    let number = text.parse().ok().filter(|n| *n <= i64::MAX as u64);
    let number = number.or_else(written_otherwise);
    number.ok_or_else(|| format!("use a whole number from 0 to {}", i64::MAX))
}

/// A number as a file has it, or the word.
fn number_or(text: &str, word: &str) -> Result<toml::Value, String> {
    match text.parse::<f64>() {
        Ok(number) => Ok(number.into()),
        Err(_) if text == word => Ok(word.into()),
        Err(_) => Err(format!("use a number or {word}")),
    }
}

/// What the flag does, who has it, and its default.
fn help(key: &Key) -> String {
    let mut help = key.setting.help.to_string();
    if let Some(owners) = key.of_some_methods() {
        help += &format!(" ({owners})");
    }
    if !key.default.is_empty() {
        help += &format!(" [default: {}]", key.default);
    }
    help
}

/// What was given for a flag.
fn value(key: &Key, matches: &mut ArgMatches) -> Option<toml::Value> {
    let id = key.setting.key;
    match key.setting.kind {
        ValueKind::Switch => matches.get_flag(id).then_some(true.into()),
        // its parser saw to the range
        ValueKind::Count => matches
            .remove_one::<u64>(id)
            .and_then(|n| i64::try_from(n).ok())
            .map(Into::into),
        ValueKind::Number => matches.remove_one::<f64>(id).map(Into::into),
        ValueKind::NumberOr(_) => matches.remove_one::<toml::Value>(id),
        ValueKind::Choices(_) => {
            let values = matches.remove_many::<String>(id)?;
            Some(toml::Value::Array(values.map(Into::into).collect()))
        }
        _ => matches.remove_one::<String>(id).map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn whole_numbers_however_they_are_written() {
        for (text, number) in [("0", 0), ("7", 7), ("1e3", 1000), ("2.0", 2)] {
            assert_eq!(count(text), Ok(number));
        }
        assert_eq!(count("9223372036854775807"), Ok(i64::MAX as u64));
        for text in [
            "-1",
            "0.5",
            "x",
            "",
            "nan",
            "inf",
            "1e16",
            "9223372036854775808",
        ] {
            count(text).expect_err(text);
        }
    }
}
