use super::{Loss, Prober, within};
use crate::TrainError;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::interruptible;
use zograd_perturb::{AppliedUpdate, Direction};
use zograd_select::SkipReason;

/// A prober whose step is given up, with [`TrainError::Stopped`], once a flag is raised: before losses are found or in the
/// middle of it, and never once the update is made. For weights that are back where they were when they rest, to the bit.
pub(crate) struct GivenUp<'p> {
    prober: &'p mut dyn Prober,
    stop: &'p AtomicBool,
    /// Whether losses that are asked for together may be found one by one.
    one_by_one: bool,
}

impl<'p> GivenUp<'p> {
    pub(crate) fn once(stop: &'p AtomicBool, prober: &'p mut dyn Prober, one_by_one: bool) -> Self {
        Self {
            prober,
            stop,
            one_by_one,
        }
    }
}

impl Prober for GivenUp<'_> {
    fn begin(&mut self, step: u64) -> Result<(), TrainError> {
        self.prober.begin(step)
    }

    fn losses(&mut self, directions: &[Direction]) -> Result<Vec<Loss>, TrainError> {
        self.some_losses(directions, 0..directions.len())
    }

    fn some_losses(
        &mut self,
        directions: &[Direction],
        mine: Range<usize>,
    ) -> Result<Vec<Loss>, TrainError> {
        let together = match self.one_by_one {
            true => 1,
            false => directions.len().max(1),
        };
        let mut losses = Vec::with_capacity(mine.len());
        for (chunk, directions) in directions.chunks(together).enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(TrainError::Stopped);
            }
            let mine = within(&mine, chunk * together, directions.len());
            let found = interruptible(self.stop, || self.prober.some_losses(directions, mine));
            losses.extend(found?);
        }
        Ok(losses)
    }

    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
        self.prober.update(update)
    }

    fn rest(&mut self) -> Result<(), TrainError> {
        self.prober.rest()
    }
}
