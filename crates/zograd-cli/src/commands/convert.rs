//! `zograd convert`: a GGUF file from a model.

use crate::args::ConvertArgs;
use crate::console::Console;
use crate::output::answer;
use crate::threads::set_threads;
use anyhow::Result;
use serde_json::json;
use std::process::ExitCode;
use zograd_runs::Runs;

/// Writes a model as a GGUF file.
///
/// # Errors
/// A family without a form in GGUF, a file that exists.
pub fn run(args: &ConvertArgs) -> Result<ExitCode> {
    set_threads(None)?;
    let inputs = args.model.inputs();
    Runs::new().convert(
        &inputs,
        args.written.into(),
        &args.out,
        &mut Console::default(),
    )?;
    if args.json {
        answer(json!({"out": args.out}))?;
    } else {
        answer(format_args!("written to {}", args.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
