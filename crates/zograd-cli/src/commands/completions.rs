//! `zograd completions`: what makes a shell complete our flags.

use crate::args::{CompletionsArgs, command};
use crate::output::answer;
use anyhow::Result;
use std::process::ExitCode;

/// Prints the script.
///
/// # Errors
/// Nobody to write to.
pub fn run(args: CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "zograd", &mut script);
    answer(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
