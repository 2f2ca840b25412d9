//! `zograd replay`: the weights of a run from its log.

use crate::args::ReplayArgs;
use crate::console::Console;
use crate::output::answer;
use crate::threads::set_threads;
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::{Replay, Runs, words};

/// Rebuilds a tuned model.
///
/// # Errors
/// A log that cannot be read or is not this model's, a step it does not have, a folder that is not empty.
pub fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let mut replay = Replay::new(&args.log, &args.out);
    replay.to_step = args.to_step;
    replay.best = args.best;
    replay.inputs = args.model.inputs();
    replay.machine = args.machine.machine();
    set_threads(replay.machine.threads)?;
    let rebuilt = Runs::new().replay(&replay, &mut Console::default())?;
    let promised = rebuilt.as_exported;
    if args.json {
        answer(serde_json::to_string(&rebuilt)?)?;
    } else {
        answer(format_args!(
            "{} replayed into {}",
            words::count(rebuilt.steps, "step"),
            args.out.display()
        ))?;
        let note = match promised {
            Some(true) => ", as the file beside the log says",
            Some(false) => ", NOT those that the file beside the log says",
            None => "",
        };
        answer(format_args!("weights {}{note}", rebuilt.weights))?;
    }
    Ok(ExitCode::from(u8::from(promised == Some(false))))
}
