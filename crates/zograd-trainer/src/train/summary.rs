use super::{BestBy, Gain};
use crate::{EvalRecord, Event, StepRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// All steps are done.
    Finished,
    /// It was asked to stop.
    Interrupted,
    /// A guard stopped it.
    Guard,
    /// Too many evaluations in a row were no better than the best one.
    Patience,
    /// As much was spent as the run might ([`Limit`](super::Limit)).
    Budget,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrainSummary {
    /// Steps done.
    pub steps: u64,
    /// Forward passes of training; a backward pass counts as two.
    pub forwards: u64,
    /// Passes over the weights.
    pub passes: u64,
    /// Tokens that went through the layers in training.
    pub tokens: u64,
    /// Steps whose update was skipped.
    pub skipped: u64,
    /// Steps that measured a slope of exactly 0: the losses were equal to the last bit, as happens when eps
    /// is too small or the number format too coarse.
    pub flat: u64,
    /// What was not as it should be, and how often.
    #[serde(default)]
    pub events: BTreeMap<Event, u64>,
    /// Seconds of training, evaluation not counted.
    pub seconds: f64,
    /// The evaluation of the untuned model, at step 0.
    #[serde(default)]
    pub untuned: Option<EvalRecord>,
    /// The best evaluation, which may be that of the untuned model.
    pub best: Option<EvalRecord>,
    /// The last evaluation.
    #[serde(default)]
    pub last: Option<EvalRecord>,
    /// Evaluations since the best one.
    #[serde(default)]
    pub stale: u64,
    /// Why it ended.
    pub stop: StopReason,
}

impl TrainSummary {
    /// A run that has done nothing yet.
    pub fn beginning() -> Self {
        Self {
            steps: 0,
            forwards: 0,
            passes: 0,
            tokens: 0,
            skipped: 0,
            flat: 0,
            events: BTreeMap::new(),
            seconds: 0.0,
            untuned: None,
            best: None,
            last: None,
            stale: 0,
            stop: StopReason::Finished,
        }
    }

    /// What the run has gained over the model it began with, by what its best weights were chosen by. `None` if that was
    /// not measured: without development examples, and while it is interrupted.
    pub fn gain(&self, by: BestBy) -> Option<Gain> {
        let (untuned, last) = (self.untuned.as_ref()?, self.last.as_ref()?);
        let measured = self.stop != StopReason::Interrupted && last.step > 0;
        measured.then(|| Gain::between(untuned, self.best.as_ref().unwrap_or(untuned), last, by))
    }

    /// Takes up one more evaluation.
    pub fn take_up(&mut self, eval: &EvalRecord) {
        if eval.step == 0 {
            self.untuned = Some(eval.clone());
        }
        self.stale += 1;
        if eval.best {
            self.best = Some(eval.clone());
            self.stale = 0;
        }
        self.last = Some(eval.clone());
    }

    /// Counts one more step.
    pub(super) fn count(&mut self, step: &StepRecord) {
        self.steps = step.step;
        self.forwards = step.forwards;
        self.passes = step.passes;
        self.tokens = step.tokens;
        self.seconds = step.seconds;
        self.skipped += u64::from(step.skipped.is_some());
        self.flat += u64::from(step.event == Some(Event::FlatLoss));
        if let Some(event) = step.event {
            *self.events.entry(event).or_default() += 1;
        }
    }
}
