//! `zograd export`: a tuned model as the little that tells it from its base.

use crate::args::ExportArgs;
use crate::console::Console;
use crate::output::answer;
use crate::threads::set_threads;
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::{Runs, words};

/// Packs the log of a run up to its best step, its settings and the hashes of the weights at both ends.
///
/// # Errors
/// A folder without a run or without tuned weights, an output folder that is not empty.
pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    set_threads(None)?;
    let exported = Runs::new().export(&args.run, &args.out, &mut Console::default())?;
    if args.json {
        answer(serde_json::to_string(&exported)?)?;
    } else {
        answer(format_args!(
            "{} in {} bytes: {}",
            words::count(exported.manifest.step, "step"),
            exported.bytes,
            args.out.display()
        ))?;
        answer(format_args!(
            "rebuild it with: zograd replay --log {} --model {} --out tuned",
            exported.log().display(),
            exported.manifest.base
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
