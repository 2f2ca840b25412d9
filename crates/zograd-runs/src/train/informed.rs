//! Steps in which a candidate is informed: they are made again from the examples, with all their losses.

use crate::backend::RunBackend;
use crate::settings::Settings;
use std::sync::atomic::AtomicBool;
use zograd_models::Model;
use zograd_perturb::Perturbed;
use zograd_select::Strategy;
use zograd_trainer::trajectory::Record;
use zograd_trainer::{Examples, Objective, TailDirection, TrainError, Training};

/// What such steps are made of.
pub(super) struct InformedSteps<'a> {
    pub(super) settings: &'a Settings,
    pub(super) objective: &'a dyn Objective,
    pub(super) examples: Examples<'a>,
    /// That of the candidate.
    pub(super) scale: f64,
    pub(super) stop: Option<&'a AtomicBool>,
}

impl InformedSteps<'_> {
    /// Makes the steps of `records` again, from where the run stood before the first of them.
    ///
    /// # Errors
    /// Weights or examples that lead elsewhere than the log, or it was asked to stop.
    pub(super) fn again<B: RunBackend>(
        &self,
        model: &mut Perturbed<B, Model<B>>,
        strategy: &mut dyn Strategy,
        records: &[Record],
        progress: impl FnMut(u64),
    ) -> Result<(), TrainError> {
        let selection = self.settings.selection();
        let informant = TailDirection::new(self.objective, &selection, self.scale);
        let config = &self.settings.config;
        let training = Training::new(strategy, self.objective, self.examples, config);
        let training = training.informed(&informant);
        match self.stop {
            Some(stop) => training.stop(stop),
            None => training,
        }
        .repeat(model, records, progress)
    }
}
