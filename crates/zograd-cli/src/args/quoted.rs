//! What libraries quote: settings in backquotes, which are flags here.

use super::Cli;
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// A text that names settings in backquotes, with flags in their place: `lr = 1` becomes --lr 1. Backquotes in what
/// was given on the command line are part of somebody's name for something.
pub fn as_flags(text: &str) -> String {
    static GIVEN: OnceLock<Vec<String>> = OnceLock::new();
    let given = GIVEN.get_or_init(|| {
        // the program and the sub-command, which may be called as a setting is, were not given for anything
        let args = std::env::args_os().skip(2);
        let args = args.map(|arg| arg.to_string_lossy().into_owned());
        names(&args.collect::<Vec<_>>())
    });
    as_flags_but(text, given)
}

/// What these arguments may be called in a text. One that is also the name of a flag among them, as in `--model model`, is
/// taken for the flag.
fn names(args: &[String]) -> Vec<String> {
    let is_flag = |name: &str| {
        let flags = args.iter().filter_map(|arg| arg.strip_prefix("--"));
        flags
            .into_iter()
            .any(|flag| flag.split('=').next() == Some(name))
    };
    let called = args.iter().filter_map(|arg| name_of(arg));
    called
        .filter(|name| !is_flag(name.trim_matches('`')))
        .collect()
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

/// What serde says of a file, whose words are the file's own.
const OF_A_FILE: [&str; 4] = [
    "missing field `",
    "unknown field `",
    "unknown variant `",
    "duplicate field `",
];

/// The same, where no name is known; from the first words of serde on the text is left as it is.
fn quoted_as_flags(text: &str) -> String {
    let foreign = OF_A_FILE.into_iter().filter_map(|words| text.find(words));
    let (own, foreign) = text.split_at(foreign.min().unwrap_or(text.len()));
    own_as_flags(own) + foreign
}

fn own_as_flags(text: &str) -> String {
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
                "`model = x`: missing field `model`, or `eps`",
                "--model x: missing field `model`, or `eps`",
            ),
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
}
