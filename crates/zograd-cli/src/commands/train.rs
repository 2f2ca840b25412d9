//! `zograd train`: fine-tunes, keeps the best weights, reports.

use crate::args::{TrainArgs, as_flags};
use crate::console::Console;
use crate::output::{answer, one_line, say};
use crate::signals::Stop;
use crate::threads::{asked_threads, set_threads};
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::{Published, RunError, Runs, Summary};
use zograd_trainer::StopReason;

/// Fine-tunes a model.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    let stop = Stop::on_signal()?;
    let runs = Runs::new().stopped_by(stop.asked.clone());
    let mut console = Console::new(args.json);
    let summary = match args.resumed()? {
        Some(run) => {
            set_threads(asked_threads(&args.given))?;
            runs.resume(run, args.given.clone(), &mut console)
        }
        None => {
            let given = args.with_file()?;
            set_threads(asked_threads(&given))?;
            runs.train(given, &mut console)
        }
    };
    let summary = match summary {
        Err(RunError::Stopped(why)) => {
            say(one_line(&why.to_string()));
            return Ok(stop.exit_code());
        }
        other => other?,
    };
    if args.json {
        answer(serde_json::to_string(&summary)?)?;
    } else {
        print(&summary)?;
    }
    Ok(match summary.stop {
        StopReason::Interrupted => stop.exit_code(),
        StopReason::Finished => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

/// Prints what a person wants to know of a run.
fn print(r: &Summary) -> std::io::Result<()> {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let before = r.before().unwrap_or(f64::NAN);
    let test = format!("test {}", r.metric);
    match r.after() {
        Some(after) => {
            answer(format_args!("{test:<14} {before:.4} -> {after:.4}"))?;
            if let Some(paper) = &r.paper {
                answer(format_args!("paper          {}", beside(paper, after)))?;
            }
            answer(format_args!(
                "test loss      {:.4} -> {:.4}",
                r.loss_before, r.loss_after
            ))?;
        }
        // interrupted: what was reached is not measured
        None => {
            answer(format_args!("{test:<14} {before:.4} before"))?;
            answer(format_args!("test loss      {:.4} before", r.loss_before))?;
        }
    }
    answer(format_args!(
        "method         {}, {} steps, {} forward passes, {}",
        r.method,
        r.steps,
        r.forwards,
        match r.method.starts_with("adam") {
            true => "a backward pass counted as two",
            false => "no backward pass",
        }
    ))?;
    match r.tune.as_str() {
        "full" => {}
        "head" => answer(format_args!(
            "tuned          the head, {} numbers; the other weights are as they were",
            r.parameters
        ))?,
        tune => answer(format_args!(
            "tuned          {tune}, {} numbers; the weights are as they were",
            r.parameters
        ))?,
    }
    if let (Some(step), Some(score)) = (r.best_step, r.best_dev()) {
        answer(format_args!(
            "best weights   step {step}, development {} {score:.4}",
            r.metric
        ))?;
    }
    for (event, count) in &r.events {
        answer(format_args!(
            "{:<14} {count} steps; {}",
            event.name(),
            as_flags(event.advice())
        ))?;
    }
    if r.skipped > 0 {
        answer(format_args!("skipped        {} updates", r.skipped))?;
    }
    answer(format_args!(
        "time           {:.1} s of training",
        r.seconds
    ))?;
    if let Some(peak) = r.peak_memory_bytes {
        answer(format_args!(
            "memory         {:.0} MiB at most, weights {:.1} MiB",
            mib(peak),
            mib(r.weight_bytes)
        ))?;
    }
    answer(format_args!("run            {}", r.run.display()))
}

/// The paper's result in one line, with ours in [0, 1].
fn beside(published: &Published, ours: f64) -> String {
    let paper = &published.paper;
    let differs = match published.differs_in.as_slice() {
        [] => String::new(),
        keys => format!("; this run differs in {}", keys.join(", ")),
    };
    format!(
        "{} {:.1} % ({}, {}, zero-shot {:.1} %), ours {:.1} %{differs}",
        paper.metric,
        paper.percent,
        paper.method,
        paper.model,
        paper.zero_shot_percent,
        100.0 * ours
    )
}
