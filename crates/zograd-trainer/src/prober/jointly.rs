use super::{Loss, Portion, Prober};
use crate::TrainError;
use zograd_perturb::{AppliedUpdate, Direction};
use zograd_select::SkipReason;

/// A prober whose losses are made when all that is asked for together has been seen, since they depend on one another
/// ([`Objective::biases`](crate::Objective::biases)).
pub(crate) struct Jointly<'p, 'a, 'b> {
    /// Keeps what it sees in the portion.
    prober: &'p mut dyn Prober,
    portion: &'p Portion<'a, 'b>,
}

impl<'p, 'a, 'b> Jointly<'p, 'a, 'b> {
    pub(crate) fn new(prober: &'p mut dyn Prober, portion: &'p Portion<'a, 'b>) -> Self {
        Self { prober, portion }
    }
}

impl Prober for Jointly<'_, '_, '_> {
    fn begin(&mut self, step: u64) -> Result<(), TrainError> {
        self.prober.begin(step)
    }

    fn losses(&mut self, directions: &[Direction]) -> Result<Vec<Loss>, TrainError> {
        self.portion.keep();
        self.prober.losses(directions)?;
        Ok(self.portion.losses_of(&self.portion.kept()))
    }

    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
        self.prober.update(update)
    }

    fn rest(&mut self) -> Result<(), TrainError> {
        self.prober.rest()
    }
}
