use crate::TrainError;
use burn::module::Module;
use zograd_perturb::{AppliedUpdate, Direction, NoiseBackend, PerturbError, Perturbed};
use zograd_select::SkipReason;

/// Weights that a prober moves in place.
pub trait Weights {
    /// Begins the step after `step` others.
    ///
    /// # Errors
    /// As [`Perturbed::begin`].
    fn begin(&mut self, step: u64) -> Result<(), PerturbError>;

    /// Moves to `theta + eps * there`.
    ///
    /// # Errors
    /// As [`Perturbed::move_to`].
    fn move_to(&mut self, there: &Direction) -> Result<(), PerturbError>;

    /// Makes an update and stands there.
    ///
    /// # Errors
    /// As [`Perturbed::update`].
    fn make(&mut self, update: &AppliedUpdate) -> Result<(), PerturbError>;
}

impl<B: NoiseBackend, M: Module<B>> Weights for Perturbed<B, M> {
    fn begin(&mut self, step: u64) -> Result<(), PerturbError> {
        Perturbed::begin(self, step)
    }

    fn move_to(&mut self, there: &Direction) -> Result<(), PerturbError> {
        Perturbed::move_to(self, there)
    }

    fn make(&mut self, update: &AppliedUpdate) -> Result<(), PerturbError> {
        self.update(update)
    }
}

/// No weights at all: for a strategy that is only told losses.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWeights;

impl Weights for NoWeights {
    fn begin(&mut self, _step: u64) -> Result<(), PerturbError> {
        Ok(())
    }

    fn move_to(&mut self, _there: &Direction) -> Result<(), PerturbError> {
        Ok(())
    }

    fn make(&mut self, _update: &AppliedUpdate) -> Result<(), PerturbError> {
        Ok(())
    }
}

/// Begins the step after `step` others.
pub(super) fn begin<W: Weights + ?Sized>(weights: &mut W, step: u64) -> Result<(), TrainError> {
    Ok(weights.begin(step)?)
}

/// Makes an update, or says why it was refused.
pub(super) fn update<W: Weights + ?Sized>(
    weights: &mut W,
    update: &AppliedUpdate,
) -> Result<Option<SkipReason>, TrainError> {
    match weights.make(update) {
        Ok(()) => Ok(None),
        Err(PerturbError::NonFinite(_)) => Ok(Some(SkipReason::NonFiniteUpdate)),
        Err(PerturbError::TooFar { .. }) => Ok(Some(SkipReason::UpdateTooFar)),
        Err(other) => Err(other.into()),
    }
}

/// Returns to `theta`; after an update the weights stand there already, and this is no pass.
pub(super) fn rest<W: Weights + ?Sized>(weights: &mut W) -> Result<(), TrainError> {
    Ok(weights.move_to(&Direction::zero())?)
}
