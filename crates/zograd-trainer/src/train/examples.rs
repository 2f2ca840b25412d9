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

    /// The class of each training example: the place of its right candidate, the first if there are several.
    pub(crate) fn classes(&self) -> Vec<usize> {
        let class = |prompt: &Prompt| prompt.correct.first().copied().unwrap_or(0);
        self.train.iter().map(class).collect()
    }

    /// Whether there is an evaluation after `step` steps.
    pub(crate) fn evaluates_after(&self, step: u64, config: &TrainConfig) -> bool {
        config.evaluates_after(step) && !self.dev.is_empty()
    }
}
