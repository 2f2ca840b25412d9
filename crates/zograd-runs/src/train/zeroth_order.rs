//! Training by forward passes only, from the start or from where a run was interrupted.

use super::head_fit::fitted;
use super::start::without_adapter;
use super::work::{Work, stopped};
use crate::backend::RunBackend;
use crate::error::{Blame, Result};
use crate::folder::{ANCHOR, Interrupted, check_seal};
use crate::inputs::{load, load_own, tuned_hash, with_own_adapter};
use std::path::Path;
use std::sync::atomic::Ordering;
use zograd_models::Model;
use zograd_perturb::{Arithmetic, Perturbed};
use zograd_select::Strategy;
use zograd_trainer::trajectory::{Header, Record, Walk, replay, retell};
use zograd_trainer::{StopReason, TrainState, TrainSummary, Training};

/// Steps that are replayed at once, before it is looked whether to stop.
const STEPS_BETWEEN_LOOKS: usize = 256;

/// The start weights of a run, and where they came from.
pub(super) struct Start<'a, B: RunBackend> {
    /// The model, with what is tuned.
    pub(super) model: Model<B>,
    /// The folder of the base weights.
    pub(super) source: &'a Path,
    /// Where to load them again.
    pub(super) device: &'a B::Device,
}

/// Trains from the start weights, or resumes.
///
/// # Errors
/// Weights that cannot be walked with, or something that failed while running.
pub(super) fn train<B: RunBackend>(
    start: Start<'_, B>,
    header: &Header,
    interrupted: Option<Interrupted>,
    mut work: Work<'_, '_>,
) -> Result<(Model<B>, TrainSummary)> {
    let mut strategy = work.methods.build(&header.method).or_input()?;
    let anchor = work.recorder.folder.anchor();
    let walk = Walk::from_start(&start.model, header, anchor).or_input()?;
    let fit = header.head_fit.as_ref();
    let mut state = TrainState::beginning().since(fit);
    // taken, not borrowed: what an interrupted run has done is not kept in memory
    let mut model = match interrupted {
        None => {
            work.recorder.begin(work.settings.config.steps, None);
            walk.begin(start.model).while_running()?
        }
        Some(run) => {
            state = run.state().since(fit);
            work.recorder.begin(work.settings.config.steps, Some(&run));
            resume(&run, start, walk, strategy.as_mut(), &mut work)?
        }
    };
    let config = &work.settings.config;
    let training = Training::new(strategy.as_mut(), work.objective, work.examples, config);
    let summary = training
        .resume(state)
        .observer(&mut *work.recorder)
        .ranks(work.ranks)
        .run(&mut model)
        .while_running()?;
    if summary.stop == StopReason::Interrupted {
        work.recorder.watch.note(&format!(
            "interrupted after step {}; resume it with `resume = {}`",
            summary.steps,
            work.recorder.folder.path().display()
        ));
    }
    Ok((model.into_module().or_input()?, summary))
}

/// The weights and the memory of the strategy after the whole steps of an interrupted run: from its newest
/// checkpoint, or from the start weights if that is lost.
fn resume<B: RunBackend>(
    run: &Interrupted,
    start: Start<'_, B>,
    walk: Walk,
    strategy: &mut dyn Strategy,
    work: &mut Work<'_, '_>,
) -> Result<Perturbed<B, Model<B>>> {
    let (settings, source, device) = (work.settings, start.source, start.device);
    let start = start.model;
    let (step, mut model) = match run.checkpoint() {
        None => (0, walk.begin(start).while_running()?),
        Some((step, folder)) => {
            // an adapter needs its base; where all weights are tuned, there is one model in memory at a time
            let base = settings.adapter.as_ref().map(|_| start.clone());
            drop(start);
            match restore::<B>(run, &folder, base.as_ref(), work, device) {
                Ok(model) => (step as usize, walk.resume(model).while_running()?),
                Err(error) => {
                    work.recorder.watch.note(&format!(
                        "note: {error}; walking from the start weights instead"
                    ));
                    let start = match base {
                        Some(start) => start,
                        None => {
                            let base = load::<B>(source, settings.machine.storage(), device)
                                .about("`model`")?;
                            let fit = run.header().head_fit.as_ref();
                            without_adapter(fitted(base, fit)?, settings.tune)
                        }
                    };
                    (0, walk.begin(start).while_running()?)
                }
            }
        }
    };
    let (before, after) = run.records().split_at(step);
    retell(strategy, run.header(), before).or_input()?;
    if run.header().arithmetic == Arithmetic::Anchored {
        // the originals lack what happened since they were last in place
        let anchors = |record: &Record| settings.config.anchors_after(record.step);
        let last = before.iter().rposition(anchors).map_or(0, |last| last + 1);
        for update in before[last..].iter().filter_map(Record::applied) {
            model.queue(update);
        }
    }
    let watch = &mut *work.recorder.watch;
    watch.work_begins("replay", after.len() as u64);
    let mut replayed = Ok(());
    for records in after.chunks(STEPS_BETWEEN_LOOKS) {
        replayed = replay(&mut model, strategy, run.header(), records, |step| {
            watch.work_done(step - before.len() as u64);
        });
        if replayed.is_err() || work.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    watch.work_ends();
    replayed.or_input()?;
    match work.stop.load(Ordering::Relaxed) {
        true => Err(stopped(run.folder(), true)),
        false => Ok(model),
    }
}

/// The model of a checkpoint, and its f32 originals in the place of the run's.
fn restore<B: RunBackend>(
    run: &Interrupted,
    checkpoint: &Path,
    base: Option<&Model<B>>,
    work: &Work<'_, '_>,
    device: &B::Device,
) -> Result<Model<B>> {
    let model = match base {
        Some(base) => with_own_adapter(base.clone(), checkpoint)?,
        None => load_own::<B>(checkpoint, work.settings.machine.storage(), device)?,
    };
    check_seal(checkpoint, &tuned_hash(&model))?;
    if run.header().arithmetic == Arithmetic::Anchored {
        let (from, to) = (checkpoint.join(ANCHOR), run.folder().join(ANCHOR));
        zograd_files::replace(&to, |partial| std::fs::copy(&from, partial).map(|_| ()))
            .on_file(&from)?;
    }
    Ok(model)
}
