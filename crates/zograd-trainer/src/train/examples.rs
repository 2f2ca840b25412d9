use crate::{Scoring, TrainConfig, TrainError};
use zograd_tasks::Prompt;

/// What a run learns from and is measured on.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    /// Steps draw their batches from these.
    pub train: &'a [Prompt],
    /// The best weights are those that do best on these ([`TrainConfig::best_by`]). May be empty: then nothing is
    /// evaluated and no weights are the best.
    pub dev: &'a [Prompt],
    /// How predictions are made and scored.
    pub scoring: &'a Scoring,
}

impl Examples<'_> {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        match self.train.is_empty() {
            true => Err(TrainError::NoExamples("training")),
            false => Ok(()),
        }
    }

    /// Whether there is an evaluation after `step` steps.
    pub(crate) fn evaluates_after(&self, step: u64, config: &TrainConfig) -> bool {
        config.evaluates_after(step) && !self.dev.is_empty()
    }
}
