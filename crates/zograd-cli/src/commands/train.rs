//! `zograd train`: fine-tunes, keeps the best weights, reports.

use crate::args::{TrainArgs, as_flags};
use crate::console::Console;
use crate::output::{answer, one_line, say};
use crate::signals::Stop;
use crate::threads::{asked_threads, set_threads};
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::{MethodKind, Published, Ranks, RunError, Runs, Storage, Summary, words};
use zograd_trainer::{Gain, StopReason};

/// Fine-tunes a model.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: &TrainArgs, ranks: &Ranks) -> Result<ExitCode> {
    let stop = Stop::on_signal()?;
    let runs = Runs::new().stopped_by(stop.asked.clone());
    let runs = runs.on_ranks(ranks.clone());
    let mut console = Console::new(args.json).raising(stop.saves.clone());
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
            say(one_line(&as_flags(&why.to_string())));
            return Ok(stop.exit_code());
        }
        other => other?,
    };
    let lesson = lesson(&summary);
    if args.json {
        answer(serde_json::to_string(&summary)?)?;
        if let Some(lesson) = lesson {
            say(lesson);
        }
    } else {
        print(&summary)?;
        if let Some(lesson) = lesson {
            answer(format_args!("result         {lesson}"))?;
        }
    }
    Ok(match (summary.stop, summary.gain) {
        (StopReason::Interrupted, _) => stop.exit_code(),
        (StopReason::Guard, _) | (_, Some(Gain::BlewUp)) => ExitCode::from(1),
        (StopReason::Finished | StopReason::Patience | StopReason::Budget, _) => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    })
}

/// What the steps of a run began with.
fn beginning(r: &Summary) -> &'static str {
    match has_head_fit(r) {
        true => "the model after its head fit",
        false => "the untuned model",
    }
}

fn has_head_fit(r: &Summary) -> bool {
    r.settings["head-fit"].as_u64() > Some(0)
}

/// Whether steps were made behind a head fit, and added nothing to it.
fn has_learnt_all(r: &Summary) -> bool {
    let has_length = r.measured_rate.is_some() || r.settings["lr"].as_f64() > Some(0.0);
    let were_made = r.stop != StopReason::Guard && 2 * r.skipped <= r.steps;
    has_head_fit(r) && r.gain == Some(Gain::Nothing) && has_length && were_made
}

fn calibrates(r: &Summary) -> bool {
    r.settings["calibrate"].as_bool() == Some(true)
}

fn has_rewards(r: &Summary) -> bool {
    r.settings["objective"].as_str() == Some("reward")
}

/// What there is to learn from a run that learnt nothing.
fn lesson(r: &Summary) -> Option<String> {
    let what = match (r.stop, r.gain) {
        (StopReason::Guard, _) => "a guard stopped it",
        (_, Some(Gain::Nothing)) if has_head_fit(r) => {
            "the steps added nothing to the head fit: on the development examples the score stayed and the loss moved by less than 0.5%"
        }
        (_, Some(Gain::Nothing)) if calibrates(r) => {
            "the steps added nothing to the biases of the options: on the development examples the score stayed and the loss moved by less than 0.5%"
        }
        (_, Some(Gain::Nothing)) => {
            "learnt nothing: on the development examples the score stayed and the loss moved by less than 0.5%"
        }
        (_, Some(Gain::Worse)) => &format!("the last weights are worse than {}", beginning(r)),
        (_, Some(Gain::BlewUp)) if !r.loss_before.is_finite() && has_rewards(r) => {
            return Some(as_flags(
                "no evaluation had a number: see what `reward-command` answers, to the untuned model too",
            ));
        }
        (_, Some(Gain::BlewUp)) if !r.loss_before.is_finite() => {
            return Some(
                "no loss was a number, that of the untuned model neither: look at its weights, or take another backend"
                    .into(),
            );
        }
        (_, Some(Gain::BlewUp)) => &format!(
            "it blew up: the last weights are far worse than {}",
            beginning(r)
        ),
        _ => return None,
    };
    let kept = match r.best_step {
        Some(0) => format!("; best/ holds {}", beginning(r)),
        Some(step) => format!("; best/ holds the weights of step {step}"),
        None => String::new(),
    };
    let next = match r.rates_to_try() {
        // no rate helps where the fit has learnt what there is
        Some(_) if has_learnt_all(r) => {
            as_flags("try more rows (`train-examples`), or a longer run")
        }
        Some(rates) => {
            let rates = rates.map(|rate| format!("{rate:e}")).join(",");
            // a sweep that names neither preset nor method is one of MeZO-GV, whatever this run was
            let preset = match r.settings["preset"].as_str() {
                Some(preset) => format!(" --preset {preset}"),
                None => String::new(),
            };
            format!(
                "try other learning rates: zograd sweep{preset} --lr {rates}, with the other flags of this run but --out and --lr-forwards"
            )
        }
        None if r.stop == StopReason::Guard => "what to change stands with the event".into(),
        None => as_flags("try more examples: `train-examples`"),
    };
    Some(format!("{what}{kept}; {next}"))
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
        "method         {}, {}, {}, {}",
        r.method,
        words::count(r.steps, "step"),
        words::count(r.forwards, "forward pass"),
        match MethodKind::of(&r.method) {
            MethodKind::Gradient(_) => "a backward pass counted as two",
            MethodKind::Tail => "a walk back along the answers' positions not counted",
            _ if r.settings.get("informed").is_some() => {
                "one of each step with a walk back along the answers' positions, which is not counted"
            }
            _ => "no backward pass",
        }
    ))?;
    if let Some(rate) = &r.measured_rate {
        answer(format_args!(
            "learning rate  {:.2e}, measured with {}",
            rate.lr,
            words::count(rate.forwards, "forward pass")
        ))?;
    }
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
    if let Some(step) = r.best_step {
        let whose = match step {
            0 => format!(", {}", beginning(r)),
            _ => String::new(),
        };
        let score = r.best_dev();
        let score = score.map(|score| format!(", development {} {score:.4}", r.metric));
        answer(format_args!(
            "best weights   step {step}{whose}{}",
            score.unwrap_or_default()
        ))?;
    }
    for (event, count) in &r.events {
        answer(format_args!(
            "{:<14} {}; {}",
            event.name(),
            words::count(*count, "step"),
            as_flags(event.advice(r.dtype == Storage::F32.to_string()))
        ))?;
    }
    if r.skipped > 0 {
        answer(format_args!(
            "skipped        {}",
            words::count(r.skipped, "update")
        ))?;
    }
    answer(format_args!(
        "time           {:.1} s of training",
        r.seconds
    ))?;
    if !r.waited.is_empty() {
        let waited: Vec<String> = r.waited.iter().map(|s| format!("{s:.1}")).collect();
        answer(format_args!(
            "ranks          {}; waited for the others {} s, by rank",
            r.waited.len(),
            waited.join(", ")
        ))?;
    }
    if let Some(peak) = r.peak_memory_bytes {
        let state = match r.state_bytes {
            0 => String::new(),
            bytes => format!(", what the method keeps of them {:.1} MiB", mib(bytes)),
        };
        answer(format_args!(
            "memory         {:.0} MiB at most, weights {:.1} MiB{state}",
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
