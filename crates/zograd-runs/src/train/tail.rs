//! Training along the tail, from the start or from where a run was interrupted.

use super::nearest::{Start, nearest};
use super::prepare::Prepared;
use super::start::without_adapter;
use super::work::{Work, stopped};
use crate::backend::RunBackend;
use crate::error::{Blame, Result};
use crate::folder::{Interrupted, check_base};
use crate::inputs;
use crate::watch::Watch;
use std::path::Path;
use zograd_models::{Model, content_hash};
use zograd_trainer::trajectory::{Header, Record};
use zograd_trainer::{StopReason, TailStep, TailTraining, TrainError, TrainState, TrainSummary};

/// Trains from the start weights, or resumes.
///
/// # Errors
/// Examples that lead elsewhere than the log, or something that failed while running.
pub(super) fn train<B: RunBackend>(
    start: Start<'_, B>,
    step: TailStep,
    interrupted: Option<Interrupted>,
    mut work: Work<'_, '_>,
) -> Result<(Model<B>, TrainSummary)> {
    let config = &work.settings.config;
    let mut state = TrainState::beginning();
    let model = match interrupted {
        None => {
            work.recorder.begin(config, None);
            start.model
        }
        Some(run) => {
            state = run.state();
            work.recorder.begin(config, Some(&run));
            resume(&run, start, step, &mut work)?
        }
    };
    let training = TailTraining::new(step, work.objective, work.examples, config);
    let (model, summary) = training
        .resume(state)
        .observer(&mut *work.recorder)
        .stop(work.stop)
        .run(model, &work.settings.selection())
        .while_running()?;
    if summary.stop == StopReason::Interrupted {
        work.recorder.watch.note(&format!(
            "interrupted after step {}; resume it with `resume = {}`",
            summary.steps,
            work.recorder.folder.path().display()
        ));
    }
    Ok((model, summary))
}

/// The weights after the whole steps of an interrupted run: from its newest checkpoint on the steps are made again, from
/// the examples.
fn resume<B: RunBackend>(
    run: &Interrupted,
    start: Start<'_, B>,
    step: TailStep,
    work: &mut Work<'_, '_>,
) -> Result<Model<B>> {
    let (done, model) = nearest(run, start, work)?;
    let records = &run.records()[done..];
    let selection = work.settings.selection();
    let training = TailTraining::new(step, work.objective, work.examples, &work.settings.config);
    let watch = &mut *work.recorder.watch;
    watch.work_begins("steps made again", records.len() as u64);
    let repeated = training
        .stop(work.stop)
        .repeat(model, &selection, records, |step| {
            watch.work_done(step - done as u64);
        });
    watch.work_ends();
    match repeated {
        Err(TrainError::Stopped) => Err(stopped(run.folder(), true)),
        other => other.about("`resume`"),
    }
}

/// The weights after these steps of a run with this log, from the weights it began with and the examples.
///
/// # Errors
/// Weights or examples that lead elsewhere than the log.
pub(super) fn again<B: RunBackend>(
    prepared: &Prepared,
    step: TailStep,
    (header, records): (&Header, &[Record]),
    start: &Path,
    device: &B::Device,
    watch: &mut dyn Watch,
) -> Result<Model<B>> {
    let settings = &prepared.settings;
    let storage = settings.machine.storage();
    let base = inputs::load::<B>(&prepared.sources.model, storage, device).about("`model`")?;
    check_base(header, &content_hash(&base))?;
    let model = match &header.adapter {
        Some(adapter) => adapter.again(base, start).about("`log`")?,
        None => without_adapter(base, settings.tune),
    };
    let examples = prepared.data.examples(&prepared.scoring);
    let objective = prepared.objective.as_ref();
    watch.work_begins("steps made again", records.len() as u64);
    let repeated = TailTraining::new(step, objective, examples, &settings.config).repeat(
        model,
        &settings.selection(),
        records,
        |step| watch.work_done(step),
    );
    watch.work_ends();
    repeated.while_running()
}
