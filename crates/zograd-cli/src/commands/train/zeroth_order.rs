//! Training by forward passes only, from the start or from where a run was interrupted.

use super::interrupted::{Interrupted, check_seal};
use super::job::Work;
use super::procedure::ZerothOrder;
use super::settings::Settings;
use super::tune;
use crate::backend::TrainBackend;
use crate::commands::adapter;
use crate::commands::eval::load;
use crate::failure::WhileRunning;
use crate::output::{one_line, say};
use crate::progress::Progress;
use crate::run_folder::ANCHOR;
use crate::walk::Walk;
use anyhow::{Context, Result};
use std::path::Path;
use zograd_models::Opt;
use zograd_perturb::{Arithmetic, ParameterSpace, Perturbed};
use zograd_select::Strategy;
use zograd_trainer::trajectory::{Header, Record, remember, replay};
use zograd_trainer::{StopReason, TrainSummary, train_from};

/// Trains `model`, which stands at the start weights (they came from the folder given with it).
///
/// # Errors
/// Weights that cannot be walked with, or something that failed while running.
pub fn train<B: TrainBackend>(
    (model, source): (Opt<B>, &Path),
    (zo, space, header): (&ZerothOrder, ParameterSpace, &Header),
    interrupted: Option<Interrupted>,
    work: Work<'_>,
    device: &B::Device,
) -> Result<(Opt<B>, TrainSummary)> {
    let mut strategy = zo.method.build()?;
    let walk = Walk::from_start(&model, space, header, work.recorder.folder.anchor())?;
    let mut summary = TrainSummary::beginning();
    // taken, not borrowed: what an interrupted run has done is not kept in memory
    let mut model = match interrupted {
        None => walk.begin(model)?,
        Some(run) => {
            summary = run.summary();
            work.recorder.take_up_all(&run.steps, &run.evals);
            go_on(
                &run,
                (model, source),
                walk,
                strategy.as_mut(),
                (work.settings, zo),
                device,
            )?
        }
    };
    let summary = train_from(
        summary,
        &mut model,
        strategy.as_mut(),
        work.objective,
        work.examples,
        &work.settings.config,
        work.recorder,
        work.stop,
    )
    .map_err(anyhow::Error::from)
    .and_then(|summary| work.recorder.finish().map(|()| summary))
    .context(WhileRunning)?;
    if summary.stop == StopReason::Interrupted {
        work.recorder.checkpoint(model.module(), summary.steps);
        say(format_args!(
            "interrupted after step {}; go on with: zograd train --resume {}",
            summary.steps,
            work.recorder.folder.path().display()
        ));
    }
    Ok((model.into_module()?, summary))
}

/// The weights and the memory of the strategy after the whole steps of an interrupted run: from its newest
/// checkpoint, or from the start weights (given with the folder they came from) if that is lost.
fn go_on<B: TrainBackend>(
    run: &Interrupted,
    (start, source): (Opt<B>, &Path),
    walk: Walk,
    strategy: &mut dyn Strategy,
    (settings, zo): (&Settings, &ZerothOrder),
    device: &B::Device,
) -> Result<Perturbed<B, Opt<B>>> {
    let (step, mut model) = match run.checkpoint() {
        None => (0, walk.begin(start)?),
        Some((step, folder)) => {
            // an adapter needs its base; where all weights are tuned, there is one model in memory at a time
            let base = settings.adapter.as_ref().map(|_| start.clone());
            drop(start);
            match restore::<B>(run, &folder, base.as_ref(), (settings, zo), device) {
                Ok(model) => (step as usize, walk.go_on(model)?),
                Err(error) => {
                    say(format_args!(
                        "note: {}; walking from the start weights instead",
                        one_line(&format!("{error:#}"))
                    ));
                    let start = match base {
                        Some(start) => start,
                        None => tune::without_adapter(
                            load::<B>(source, settings.dtype, device)?,
                            &settings.selection(),
                        ),
                    };
                    (0, walk.begin(start)?)
                }
            }
        }
    };
    let (before, after) = run.records().split_at(step);
    remember(strategy, run.header(), before)?;
    if zo.arithmetic == Arithmetic::Anchored {
        // the originals lack what happened since they were last in place
        let anchors = |record: &Record| settings.config.anchors_after(record.step);
        let last = before.iter().rposition(anchors).map_or(0, |last| last + 1);
        for update in before[last..].iter().filter_map(Record::applied) {
            model.remember(update);
        }
    }
    let mut progress = Progress::new("replay", after.len() as u64);
    replay(&mut model, strategy, run.header(), after, |step| {
        progress.set(step - before.len() as u64, String::new);
    })?;
    progress.finish();
    Ok(model)
}

/// The model of a checkpoint, and its f32 originals in the place of the run's.
fn restore<B: TrainBackend>(
    run: &Interrupted,
    checkpoint: &Path,
    base: Option<&Opt<B>>,
    (settings, zo): (&Settings, &ZerothOrder),
    device: &B::Device,
) -> Result<Opt<B>> {
    let model = match base {
        Some(base) => base
            .clone()
            .without_adapter()
            .with_adapter_from(checkpoint)?,
        None => load::<B>(checkpoint, settings.dtype, device)?,
    };
    check_seal(checkpoint, &adapter::tuned_hash(&model))?;
    if zo.arithmetic == Arithmetic::Anchored {
        let (from, to) = (checkpoint.join(ANCHOR), run.folder().join(ANCHOR));
        zograd_files::replace(&to, |partial| std::fs::copy(&from, partial).map(|_| ()))
            .with_context(|| from.display().to_string())?;
    }
    Ok(model)
}
