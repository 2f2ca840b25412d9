//! `zograd log`: what a trajectory log holds.

use crate::args::{LogArgs, LogCommand};
use crate::console::Console;
use crate::output::{Lines, answer};
use anyhow::Result;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;
use zograd_perturb::Direction;
use zograd_runs::words::number;
use zograd_runs::{Blame, Runs, note_tail, words};
use zograd_select::SkipReason;
use zograd_trainer::trajectory::{Record, Tail, Trajectory};

/// Shows, checks or exports a log.
///
/// # Errors
/// A file that is no log, or whose header is damaged; for `verify`, records that contradict each other.
pub fn run(command: LogCommand) -> Result<ExitCode> {
    match command {
        LogCommand::Show(args) => show(&args),
        LogCommand::Verify(args) => verify(&args),
        LogCommand::Export(args) => export(&args),
    }
}

fn show(args: &LogArgs) -> Result<ExitCode> {
    let log = Trajectory::read(&args.file).or_input()?;
    let bytes = log.ends.last().copied().unwrap_or(0);
    let header_bytes = log.ends.first().copied().unwrap_or(0);
    let per_step = (bytes - header_bytes) as f64 / log.records.len().max(1) as f64;
    let skipped = log.records.iter().filter(|r| r.skipped.is_some()).count();
    if args.json {
        answer(json!({
            "header": log.header,
            "steps": log.records.len(),
            "skipped": skipped,
            "bytes": bytes,
            "bytes_per_step": per_step,
            "torn_bytes": torn(&log.tail),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let h = &log.header;
    answer(format_args!("model     {}, {}", h.model, h.dtype))?;
    answer(format_args!("weights   {}", h.weights))?;
    answer(format_args!(
        "method    {}, lr {}, eps {}, {} noise, seed {}",
        serde_json::to_string(&h.method)?,
        number(h.config.lr),
        number(h.eps),
        h.noise,
        h.config.seed
    ))?;
    if !h.perturbation.is_dense() {
        let perturbation = serde_json::to_string(&h.perturbation)?;
        answer(format_args!("perturbed {perturbation}"))?;
    }
    let of = match h.config.limit {
        // how many there will be is known at the end
        Some(_) => String::new(),
        None => format!(" of {}", h.config.steps),
    };
    answer(format_args!(
        "steps     {}{of}, {skipped} skipped",
        log.records.len()
    ))?;
    answer(format_args!(
        "size      {bytes} bytes, {per_step:.1} a step"
    ))?;
    note_tail(&log.tail, &mut Console::default());
    Ok(ExitCode::SUCCESS)
}

fn verify(args: &LogArgs) -> Result<ExitCode> {
    let found = Runs::new().verify(&args.file, &mut Console::default())?;
    if args.json {
        answer(serde_json::to_string(&found)?)?;
    } else {
        answer(format_args!(
            "{}, every update follows from the logged losses",
            words::count(found.steps, "step")
        ))?;
        match (found.whole, found.steps == found.steps_due) {
            (true, _) => answer("whole")?,
            (false, true) if found.torn_bytes == 0 => answer(
                "no file beside the log says whether there are more: the run's budget was in tokens or seconds",
            )?,
            (false, true) => answer("NOT whole")?,
            (false, false) => answer(format_args!(
                "NOT whole: {} says {}; the run did not come to its end, or the log was cut or lengthened",
                found.said_by,
                words::count(found.steps_due, "step")
            ))?,
        }
    }
    Ok(ExitCode::from(u8::from(!found.whole)))
}

fn export(args: &LogArgs) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Line<'a> {
        step: u64,
        lr: f64,
        weight_decay: f64,
        update: &'a Direction,
        losses: &'a [f64],
        #[serde(skip_serializing_if = "Option::is_none")]
        skipped: Option<SkipReason>,
    }
    let log = Trajectory::read(&args.file).or_input()?;
    let mut out = Lines::new();
    out.line(&log.header)?;
    for Record {
        step,
        lr,
        weight_decay,
        update,
        losses,
        skipped,
    } in &log.records
    {
        let line = Line {
            step: *step,
            lr: *lr,
            weight_decay: *weight_decay,
            update,
            losses,
            skipped: *skipped,
        };
        out.line(&line)?;
    }
    out.finish()?;
    note_tail(&log.tail, &mut Console::default());
    Ok(ExitCode::SUCCESS)
}

fn torn(tail: &Tail) -> u64 {
    match tail {
        Tail::Clean => 0,
        Tail::Torn { bytes, .. } => *bytes,
    }
}
