//! Linear probing: a new head by logistic regression on features.

use super::work::Work;
use crate::backend::RunBackend;
use crate::error::{Blame, Result, RunError};
use crate::inputs::{Questions, score};
use crate::words::count;
use std::time::Instant;
use zograd_models::Model;
use zograd_trainer::{
    DevScore, EvalRecord, LinearProbe, LinearProbeStage, Observer, StepRecord, StopReason,
    TrainSummary, fit_linear_probe, peak_memory_bytes,
};

/// Gives `model` a head by linear probing, and scores it on the development examples. Also says how many numbers were
/// fitted.
///
/// # Errors
/// Training examples without two different answers, or something that failed while running.
pub(super) fn probe<B: RunBackend>(
    model: Model<B>,
    mut work: Work<'_, '_>,
) -> Result<(Model<B>, TrainSummary, Option<u64>)> {
    let mut summary = TrainSummary::beginning();
    if !evaluate(&model, &mut summary, &mut work)? {
        return interrupted(model, summary, None, work);
    }
    let start = Instant::now();
    let fitted = fit(&model, &mut work);
    let Some((model, probe)) = fitted? else {
        return interrupted(model, summary, None, work);
    };
    let fitted = (probe.tokens.len() * model.config().table_width()) as u64;
    summary.steps = 1;
    summary.forwards = probe.forwards;
    summary.tokens = probe.run;
    summary.seconds = start.elapsed().as_secs_f64();
    work.recorder.watch.note(&format!(
        "linear probe of {}, C = {:.3e}{}",
        count(probe.tokens.len(), "token"),
        probe.c,
        match probe.validation {
            Some(share) => format!(", {:.1}% of held-out tokens right", 100.0 * share),
            None => String::new(),
        }
    ));
    Observer::<Model<B>>::on_step(work.recorder, &record(&summary, &probe)).while_running()?;
    if !evaluate(&model, &mut summary, &mut work)? {
        return interrupted(model, summary, Some(fitted), work);
    }
    work.recorder.finish()?;
    Ok((model, summary, Some(fitted)))
}

/// What is left of a run that was asked to stop.
fn interrupted<B: RunBackend>(
    model: Model<B>,
    mut summary: TrainSummary,
    fitted: Option<u64>,
    work: Work<'_, '_>,
) -> Result<(Model<B>, TrainSummary, Option<u64>)> {
    summary.stop = StopReason::Interrupted;
    if fitted.is_none() {
        let line = "interrupted before the fit was done: best/ holds the start weights";
        work.recorder.watch.note(line);
    }
    work.recorder.finish()?;
    Ok((model, summary, fitted))
}

/// Scores the model on the development examples, if there are any; says whether it came to the end of it.
fn evaluate<B: RunBackend>(
    model: &Model<B>,
    summary: &mut TrainSummary,
    work: &mut Work<'_, '_>,
) -> Result<bool> {
    if work.examples.dev.is_empty() {
        return Ok(true);
    }
    let start = Instant::now();
    let questions = Questions {
        prompts: work.examples.dev,
        scoring: work.examples.scoring,
        batch_size: work.settings.config.eval_batch_size,
        stop: Some(work.stop),
        ranks: work.ranks,
    };
    let evaluation = match score(model, questions, "dev", work.recorder.watch) {
        Err(RunError::Stopped(_)) => return Ok(false),
        other => other?,
    };
    let dev_score = DevScore::new(evaluation.metric, evaluation.score);
    let mut record = EvalRecord::new(summary.steps, summary.forwards, dev_score, evaluation.loss);
    record.best = work
        .settings
        .config
        .best_by
        .prefers(&record, summary.best.as_ref());
    record.seconds = summary.seconds;
    record.eval_seconds = start.elapsed().as_secs_f64();
    work.recorder.on_eval(&record, model).while_running()?;
    summary.take_up(&record);
    Ok(true)
}

/// The fit, with a bar for each of its stages.
fn fit<B: RunBackend>(
    model: &Model<B>,
    work: &mut Work<'_, '_>,
) -> Result<Option<(Model<B>, LinearProbe)>> {
    let train = work.examples.train;
    let batch = work.settings.config.batch_size;
    let watch = &mut *work.recorder.watch;
    watch.work_begins("features", train.len() as u64);
    let mut fitting = false;
    let progress = |stage| match stage {
        LinearProbeStage::Features(done) => watch.work_done(done as u64),
        LinearProbeStage::Fits { done, of } => {
            if !std::mem::replace(&mut fitting, true) {
                watch.work_ends();
                watch.work_begins("fits", of as u64);
            }
            watch.work_done(done as u64);
        }
    };
    let fitted = fit_linear_probe(model.clone(), train, batch, work.stop, progress);
    work.recorder.watch.work_ends();
    fitted.while_running()
}

/// The fit as the one step of its run.
fn record(summary: &TrainSummary, probe: &LinearProbe) -> StepRecord {
    let mut record = StepRecord::new(summary.steps, vec![probe.loss]);
    record.forwards = summary.forwards;
    record.tokens = summary.tokens;
    record.seconds = summary.seconds;
    record.peak_memory_bytes = peak_memory_bytes();
    record
}
