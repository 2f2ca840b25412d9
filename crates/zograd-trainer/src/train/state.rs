use crate::{EvalRecord, Monitor, StepRecord, TrainSummary};

/// Where a run stands: what it has done, and what is usual in it. With the weights and the memory of the strategy it
/// is all that the rest of the run depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainState {
    summary: TrainSummary,
    monitor: Monitor,
}

impl TrainState {
    /// A run that has done nothing yet.
    pub fn beginning() -> Self {
        Self {
            summary: TrainSummary::beginning(),
            monitor: Monitor::default(),
        }
    }

    /// A run that has done these steps and evaluations.
    pub fn after(steps: &[StepRecord], evals: &[EvalRecord]) -> Self {
        let mut state = Self::beginning();
        for step in steps {
            state.count(step);
        }
        for eval in evals {
            state.summary.take_up(eval);
        }
        state
    }

    /// The same with what was paid before the first step ([`Header::paid_before`](crate::trajectory::Header::paid_before)),
    /// which the records of steps count in.
    #[must_use]
    pub fn since(mut self, (forwards, tokens): (u64, u64)) -> Self {
        if self.summary.steps == 0 {
            (self.summary.forwards, self.summary.tokens) = (forwards, tokens);
        }
        self
    }

    /// What it has done.
    pub fn summary(&self) -> &TrainSummary {
        &self.summary
    }

    /// What is usual in it.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    pub(super) fn summary_mut(&mut self) -> &mut TrainSummary {
        &mut self.summary
    }

    pub(super) fn into_summary(self) -> TrainSummary {
        self.summary
    }

    /// Counts one more step.
    pub(super) fn count(&mut self, step: &StepRecord) {
        self.summary.count(step);
        self.monitor.observe(step);
    }
}
