//! Which error ends the program with which exit code, and how it is told.

use crate::output::{one_line, say};
use std::fmt;
use std::process::ExitCode;

/// The input was usable, and something failed while running (exit code 1): a full disk, say.
///
/// Every other error is about the input (exit code 2).
#[derive(Debug)]
pub struct WhileRunning;

impl fmt::Display for WhileRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the run failed")
    }
}

/// Prints the error on one line and gives its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let mut line = String::new();
    for cause in error.chain() {
        let text = one_line(&cause.to_string());
        // causes often repeat what the error above them said
        if !line.contains(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    say(format_args!("error: {line}"));
    let code = if error.downcast_ref::<WhileRunning>().is_some() {
        1
    } else {
        2
    };
    ExitCode::from(code)
}

/// Prints what clap has to say: help and version as they are, a mistake on one line like every error.
pub fn report_usage(answer: &clap::Error) -> ExitCode {
    if !answer.use_stderr()
        || answer.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        // fails only if nobody reads
        let _ = answer.print();
        return ExitCode::from(answer.exit_code() as u8);
    }
    let text = answer.to_string();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    say(format_args!("{}; see --help", said.join("; ")));
    ExitCode::from(2)
}

/// Whether the reader of our output went away, as `zograd prompts | head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
