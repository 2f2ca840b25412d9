use super::{Loss, Prober, Weights, weights};
use crate::TrainError;
use crate::trajectory::Record;
use zograd_perturb::{AppliedUpdate, Direction};
use zograd_select::SkipReason;

/// Losses that are known: a replay is the same step with those of its log. The weights make the same hops, so that
/// they round as they did in the run.
///
/// An update that the run skipped, for whatever reason, is refused with this reason.
pub struct Logged<'a, W> {
    losses: &'a [f64],
    skipped: Option<SkipReason>,
    weights: &'a mut W,
}

impl<'a, W: Weights> Logged<'a, W> {
    /// The step of `record`, made again by `weights`, which stand where it began.
    pub fn new(record: &'a Record, weights: &'a mut W) -> Self {
        Self {
            losses: &record.losses,
            skipped: record.skipped,
            weights,
        }
    }

    /// Losses that were not asked for yet.
    pub fn left(&self) -> usize {
        self.losses.len()
    }
}

impl<W: Weights> Prober for Logged<'_, W> {
    fn begin(&mut self, step: u64) -> Result<(), TrainError> {
        weights::begin(self.weights, step)
    }

    fn losses(&mut self, directions: &[Direction]) -> Result<Vec<Loss>, TrainError> {
        let asked = directions.len();
        let Some((told, left)) = self.losses.split_at_checked(asked) else {
            let left = self.losses.len();
            return Err(TrainError::LogEnds { asked, left });
        };
        self.losses = left;
        for direction in directions {
            self.weights.move_to(direction)?;
        }
        Ok(told.iter().copied().map(Loss::new).collect())
    }

    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
        match self.skipped {
            Some(reason) => Ok(Some(reason)),
            None => weights::update(self.weights, update),
        }
    }

    fn rest(&mut self) -> Result<(), TrainError> {
        weights::rest(self.weights)
    }
}
