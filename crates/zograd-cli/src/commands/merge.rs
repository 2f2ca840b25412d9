//! `zograd merge`: a plain model from a model and its LoRA adapter.

use crate::args::MergeArgs;
use crate::console::Console;
use crate::output::answer;
use crate::threads::set_threads;
use anyhow::Result;
use serde_json::json;
use std::process::ExitCode;
use zograd_runs::{Runs, Storage};

/// Merges an adapter into its model.
///
/// # Errors
/// An adapter that does not fit or is no LoRA, a folder that is not empty.
pub fn run(args: &MergeArgs) -> Result<ExitCode> {
    set_threads(None)?;
    let weights = Runs::new().merge(
        &args.model.inputs(),
        &args.adapter,
        args.dtype.unwrap_or(Storage::F32),
        &args.out,
        &mut Console::default(),
    )?;
    if args.json {
        answer(json!({"out": args.out, "weights": weights}))?;
    } else {
        answer(format_args!("merged into {}", args.out.display()))?;
        answer(format_args!("weights {weights}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
