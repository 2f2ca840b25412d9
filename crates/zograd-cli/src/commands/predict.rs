//! `zograd predict`: rows in, rows with answers out.

use crate::args::PredictArgs;
use crate::console::Console;
use crate::output::{answer, say};
use crate::threads::{asked_threads, set_threads};
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use zograd_runs::{Predicted, Ranks, Runs, words};

/// Answers rows, which ranks share.
///
/// # Errors
/// Wrong input, or a file that cannot be written.
pub fn run(args: &PredictArgs, ranks: &Ranks) -> Result<ExitCode> {
    let given = args.flags.with_file()?;
    set_threads(asked_threads(&given))?;
    let runs = Runs::new().on_ranks(ranks.clone());
    let done = runs.predict(given, &mut std::io::stdout(), &mut Console::default())?;
    let is_out = done.out == Path::new("-");
    match (args.flags.json, is_out) {
        // the standard output has the rows
        (_, true) => say(in_words(&done)),
        (true, false) => answer(serde_json::to_string(&done)?)?,
        (false, false) => answer(in_words(&done))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(done: &Predicted) -> String {
    let mut line = format!(
        "{} on {}: {} answered",
        done.model,
        done.task,
        words::count(done.rows - done.before, "row")
    );
    let more = [
        (done.before, "answered before"),
        (done.blank, "with nothing to answer"),
        (done.non_finite, "with scores that are not finite"),
        (done.truncated, "cut from the left"),
    ];
    for (rows, what) in more.into_iter().filter(|(rows, _)| *rows > 0) {
        line += &format!(", {rows} {what}");
    }
    line += &format!(
        " in {:.1} s, {:.1} rows a second",
        done.seconds, done.rows_per_second
    );
    if done.out != Path::new("-") {
        line += &format!("; {}", done.out.display());
    }
    line
}
