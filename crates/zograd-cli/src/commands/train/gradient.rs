//! The baselines that know the gradient.

use super::job::Work;
use crate::backend::TrainBackend;
use crate::commands::eval::score;
use crate::failure::WhileRunning;
use crate::output::say;
use crate::progress::Progress;
use anyhow::{Context, Result};
use std::time::Instant;
use zograd_models::Opt;
use zograd_perturb::{Direction, Selection};
use zograd_trainer::{
    Backpropagation, DevScore, EvalRecord, Observer, ProbeStage, StepRecord, StopReason,
    TrainSummary, fit_probe, peak_memory_bytes, train_by_gradient,
};

/// Trains the selected parameters of `model` by backpropagation.
///
/// # Errors
/// Something that failed while running.
pub fn train<B: TrainBackend>(
    model: Opt<B>,
    selection: &Selection,
    how: &Backpropagation,
    work: Work<'_>,
) -> Result<(Opt<B>, TrainSummary)> {
    let (model, summary) = train_by_gradient(
        model,
        selection,
        how,
        work.objective,
        work.examples,
        &work.settings.config,
        work.recorder,
        work.stop,
    )
    .context(WhileRunning)?;
    work.recorder.finish().context(WhileRunning)?;
    if summary.stop == StopReason::Interrupted {
        say(format_args!(
            "interrupted after step {}; a run of {} keeps no log and is not gone on with",
            summary.steps, work.settings.method_name
        ));
    }
    Ok((model, summary))
}

/// Gives `model` a head by linear probing, and scores it on the development examples. Also says how many numbers were
/// fitted.
///
/// # Errors
/// Training examples without two different answers, or something that failed while running.
pub fn probe<B: TrainBackend>(
    model: Opt<B>,
    work: Work<'_>,
) -> Result<(Opt<B>, TrainSummary, Option<u64>)> {
    let config = &work.settings.config;
    let train = work.examples.train;
    let start = Instant::now();
    work.recorder.progress = None;
    let mut bar = Progress::new("features", train.len() as u64);
    let mut fitting = false;
    let mut summary = TrainSummary::beginning();
    let progress = |stage| match stage {
        ProbeStage::Features(done) => bar.set(done as u64, String::new),
        ProbeStage::Fits { done, of } => {
            if !std::mem::replace(&mut fitting, true) {
                std::mem::replace(&mut bar, Progress::new("fits", of as u64)).finish();
            }
            bar.set(done as u64, String::new);
        }
    };
    let batch = config.batch_size;
    let fitted =
        fit_probe(model.clone(), train, batch, work.stop, progress).context(WhileRunning)?;
    bar.finish();
    let Some((model, probe)) = fitted else {
        summary.stop = StopReason::Interrupted;
        say("interrupted before the fit was done: best/ holds the start weights");
        work.recorder.finish().context(WhileRunning)?;
        return Ok((model, summary, None));
    };
    let fitted = (probe.tokens.len() * model.config().word_embed_proj_dim) as u64;
    summary.steps = 1;
    summary.forwards = probe.forwards;
    summary.tokens = probe.run;
    summary.seconds = start.elapsed().as_secs_f64();
    say(format_args!(
        "linear probe of {} tokens, C = {:.3e}{}",
        probe.tokens.len(),
        probe.c,
        match probe.validation {
            Some(share) => format!(", {:.1}% of held-out tokens right", 100.0 * share),
            None => String::new(),
        }
    ));
    let step = StepRecord {
        step: summary.steps,
        loss: probe.loss,
        losses: vec![probe.loss],
        projected_gradient: 0.0,
        update_norm: None,
        lr: 0.0,
        forwards: summary.forwards,
        tokens: summary.tokens,
        seconds: summary.seconds,
        passes: 0,
        peak_memory_bytes: peak_memory_bytes(),
        skipped: None,
        event: None,
        weight_decay: 0.0,
        update: Direction::zero(),
    };
    Observer::<Opt<B>>::on_step(work.recorder, &step).context(WhileRunning)?;
    if !work.examples.dev.is_empty() {
        let start = Instant::now();
        let (dev, scoring) = (work.examples.dev, work.examples.scoring);
        let evaluation = score(&model, dev, scoring, config.eval_batch_size, "dev")?;
        let record = EvalRecord {
            step: summary.steps,
            forwards: summary.forwards,
            dev_score: DevScore::new(evaluation.metric, evaluation.score),
            dev_loss: evaluation.loss,
            drift: None,
            best: true,
            seconds: start.elapsed().as_secs_f64(),
        };
        work.recorder
            .on_eval(&record, &model)
            .context(WhileRunning)?;
        summary.best = Some(record);
    }
    work.recorder.finish().context(WhileRunning)?;
    Ok((model, summary, Some(fitted)))
}
