//! Which error ends the program with which exit code, and how it is told.

use crate::args::{advice, as_flags, not_utf8};
use crate::closed;
use crate::output::{is_hushed, one_line, say};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::process::ExitCode;
use zograd_runs::RunError;

/// Prints the error on one line and gives its exit code: 2 if the input is wrong, 1 for all that failed while running.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    // what a run says of its error is whole; others are put together from their causes
    let (line, code) = match error.downcast_ref::<RunError>() {
        Some(error @ RunError::Input(_)) => (error.to_string(), 2),
        Some(error) => (error.to_string(), 1),
        None => (format!("{error:#}"), 1),
    };
    say(format_args!("error: {}", one_line(&as_flags(&line))));
    ExitCode::from(code)
}

/// Prints what clap has to say: help and version as they are, a mistake on one line like every error.
pub fn report_usage(answer: &clap::Error) -> ExitCode {
    if !answer.use_stderr() || answer.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        if is_hushed() {
            return ExitCode::from(answer.exit_code() as u8);
        }
        if let Err(error) = closed::check().and_then(|()| answer.print())
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            say(format_args!("error: the standard output: {error}"));
            return ExitCode::from(1);
        }
        return ExitCode::from(answer.exit_code() as u8);
    }
    let text = match better(answer) {
        Some(line) => line,
        None => answer.to_string(),
    };
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    say(format_args!("{}; see --help", said.join("; ")));
    ExitCode::from(2)
}

/// What there is to say of a mistake that clap does not know enough about.
fn better(answer: &clap::Error) -> Option<String> {
    match answer.kind() {
        ErrorKind::UnknownArgument => {
            let Some(ContextValue::String(flag)) = answer.get(ContextKind::InvalidArg) else {
                return None;
            };
            let command = std::env::args_os().nth(1)?;
            let advice = advice(command.to_str()?, flag)?;
            Some(format!(
                "error: unexpected argument '{flag}' found; tip: {}",
                as_flags(&advice)
            ))
        }
        ErrorKind::InvalidUtf8 => {
            let found = not_utf8(std::env::args_os().skip(1));
            Some(format!(
                "error: {}: the value is no UTF-8",
                found.join(", ")
            ))
        }
        _ => None,
    }
}

/// Whether the reader of our output went away, as `zograd prompts | head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
