//! Mistakes on the command line that clap does not know enough about.

use super::Cli;
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::ffi::OsString;
use zograd_runs::elsewhere;

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

#[cfg(test)]
mod tests {
    use super::*;

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
