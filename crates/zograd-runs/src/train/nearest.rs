//! The weights nearest to where an interrupted run stood: those of its newest checkpoint, or those it began with.

use super::head_fit::fitted;
use super::start::without_adapter;
use super::work::Work;
use crate::backend::RunBackend;
use crate::error::{Blame, Result};
use crate::folder::{ANCHOR, Interrupted, check_seal};
use crate::inputs::{load, load_own, tuned_hash, with_own_adapter};
use std::path::Path;
use zograd_models::Model;
use zograd_perturb::Arithmetic;

/// The start weights of a run, and where they came from.
pub(super) struct Start<'a, B: RunBackend> {
    /// The model, with what is tuned.
    pub(super) model: Model<B>,
    /// The folder of the base weights.
    pub(super) source: &'a Path,
    /// Where to load them again.
    pub(super) device: &'a B::Device,
}

/// The weights of the newest checkpoint of a run, and the step that they are those after; those of the start, step 0, if
/// there is none, or it is lost.
///
/// # Errors
/// The start weights cannot be loaded again.
pub(super) fn nearest<B: RunBackend>(
    run: &Interrupted,
    start: Start<'_, B>,
    work: &mut Work<'_, '_>,
) -> Result<(usize, Model<B>)> {
    let (settings, source, device) = (work.settings, start.source, start.device);
    let start = start.model;
    let Some((step, folder)) = run.checkpoint() else {
        return Ok((0, start));
    };
    // an adapter needs its base; where all weights are tuned, there is one model in memory at a time
    let base = settings.adapter.as_ref().map(|_| start.clone());
    drop(start);
    match restore::<B>(run, (step, &folder), base.as_ref(), work, device) {
        Ok(model) => Ok((step as usize, model)),
        Err(error) => {
            work.recorder.watch.note(&format!(
                "note: {error}; walking from the start weights instead"
            ));
            let start = match base {
                Some(start) => start,
                None => {
                    let base = load::<B>(source, settings.machine.storage(), device);
                    let fit = run.header().head_fit.as_ref();
                    without_adapter(fitted(base.about("`model`")?, fit)?, settings.tune)
                }
            };
            Ok((0, start))
        }
    }
}

/// The model of a checkpoint, and its f32 originals in the place of the run's.
fn restore<B: RunBackend>(
    run: &Interrupted,
    (step, checkpoint): (u64, &Path),
    base: Option<&Model<B>>,
    work: &Work<'_, '_>,
    device: &B::Device,
) -> Result<Model<B>> {
    let model = match base {
        Some(base) => with_own_adapter(base.clone(), checkpoint)?,
        None => load_own::<B>(checkpoint, work.settings.machine.storage(), device)?,
    };
    check_seal(checkpoint, step, &tuned_hash(&model))?;
    if run.header().arithmetic == Arithmetic::Anchored {
        let (from, to) = (checkpoint.join(ANCHOR), run.folder().join(ANCHOR));
        zograd_files::replace(&to, |partial| std::fs::copy(&from, partial).map(|_| ()))
            .on_file(&from)?;
    }
    Ok(model)
}
