//! The baselines that know the gradient.

use super::work::Work;
use crate::backend::RunBackend;
use crate::error::{Blame, Result};
use zograd_models::Model;
use zograd_perturb::Selection;
use zograd_trainer::{Backpropagation, GradientTraining, StopReason, TrainSummary};

/// Trains the selected parameters of `model` by backpropagation.
///
/// # Errors
/// Something that failed while running.
pub(super) fn train<B: RunBackend>(
    model: Model<B>,
    selection: &Selection,
    how: &Backpropagation,
    work: Work<'_, '_>,
) -> Result<(Model<B>, TrainSummary)> {
    work.recorder.begin(&work.settings.config, None);
    let config = &work.settings.config;
    let training = GradientTraining::new(how, work.objective, work.examples, config);
    let (model, summary) = training
        .observer(&mut *work.recorder)
        .stop(work.stop)
        .run(model, selection)
        .while_running()?;
    if summary.stop == StopReason::Interrupted {
        work.recorder.watch.note(&format!(
            "interrupted after step {}; a run of {} keeps no log and cannot be resumed",
            summary.steps, work.settings.method
        ));
    }
    Ok((model, summary))
}
