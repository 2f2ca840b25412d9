//! Training by forward passes only, from the start or from where a run was interrupted.

use super::informed::InformedSteps;
use super::nearest::{Start, nearest};
use super::work::{Work, stopped};
use crate::backend::RunBackend;
use crate::error::{Blame, Result};
use crate::folder::Interrupted;
use std::sync::atomic::Ordering;
use zograd_models::Model;
use zograd_perturb::{Arithmetic, Perturbed};
use zograd_select::Strategy;
use zograd_trainer::trajectory::{Header, Record, Walk, replay, retell, retold};
use zograd_trainer::{StopReason, TailDirection, TrainError, TrainState, TrainSummary, Training};

/// Steps that are replayed at once, before it is looked whether to stop.
const STEPS_BETWEEN_LOOKS: usize = 256;

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
    let mut state = TrainState::beginning().since(header.paid_before());
    // taken, not borrowed: what an interrupted run has done is not kept in memory
    let mut model = match interrupted {
        None => {
            work.recorder.begin(&work.settings.config, None);
            walk.begin(start.model).while_running()?
        }
        Some(run) => {
            state = run.state().since(header.paid_before());
            work.recorder.begin(&work.settings.config, Some(&run));
            resume(&run, start, walk, strategy.as_mut(), &mut work)?
        }
    };
    let config = &work.settings.config;
    let selection = work.settings.selection();
    let informant = header
        .informed
        .map(|scale| TailDirection::new(work.objective, &selection, scale));
    let mut training = Training::new(strategy.as_mut(), work.objective, work.examples, config);
    if let Some(informant) = &informant {
        training = training.informed(informant);
    }
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
    let settings = work.settings;
    let (step, model) = nearest(run, start, work)?;
    let mut model = match step {
        0 => walk.begin(model).while_running()?,
        _ => walk.resume(model).while_running()?,
    };
    let (before, after) = run.records().split_at(step);
    match strategy.state_bytes_per_weight() {
        0 => retell(strategy, run.header(), before).or_input()?,
        // what is kept beside the weights is in no checkpoint
        _ => {
            for records in before.chunks(STEPS_BETWEEN_LOOKS) {
                let updates = retold(strategy, run.header(), records).or_input()?;
                model.recall_all(&updates).or_input()?;
            }
        }
    }
    if run.header().arithmetic == Arithmetic::Anchored {
        // the originals lack what happened since they were last in place
        let anchors = |record: &Record| settings.config.anchors_after(record.step);
        let last = before.iter().rposition(anchors).map_or(0, |last| last + 1);
        for update in before[last..].iter().filter_map(Record::applied) {
            model.queue(update);
        }
    }
    let watch = &mut *work.recorder.watch;
    if let Some(scale) = run.header().informed {
        let steps = InformedSteps {
            settings,
            objective: work.objective,
            examples: work.examples,
            scale,
            stop: Some(work.stop),
        };
        watch.work_begins("steps made again", after.len() as u64);
        let again = steps.again(&mut model, strategy, after, |step| {
            watch.work_done(step - before.len() as u64);
        });
        watch.work_ends();
        return match again {
            Err(TrainError::Stopped) => Err(stopped(run.folder(), true)),
            other => other.map(|()| model).about("`resume`"),
        };
    }
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
