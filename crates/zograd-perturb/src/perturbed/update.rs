use crate::{Direction, Learnt};

/// An update that was made, or is to be made: `theta <- theta - lr * (direction + decay * theta)`.
///
/// ```
/// use zograd_perturb::{AppliedUpdate, Direction, Seed};
///
/// let z = Direction::unit(Seed::new(7));
/// let update = AppliedUpdate::new(&z * 0.5, 1e-6).with_decay(0.1, 12);
/// assert_eq!((update.lr, update.decay, update.step), (1e-6, 0.1, 12));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AppliedUpdate {
    /// The direction.
    pub direction: Direction,
    /// The learning rate.
    pub lr: f64,
    /// The weight decay lambda. It takes from `theta`, or from its distance to the start
    /// ([`Perturbed::decaying_toward`](crate::Perturbed::decaying_toward)).
    pub decay: f64,
    /// Steps of the run before this one. On grids the decay is rounded by it: up at some steps and down at others, so
    /// that it adds up however small it is.
    pub step: u64,
    /// What was learnt in that step, if something was: it shapes the noise of the steps after it.
    pub learnt: Option<Learnt>,
}

impl AppliedUpdate {
    /// Without weight decay.
    pub fn new(direction: Direction, lr: f64) -> Self {
        Self {
            direction,
            lr,
            decay: 0.0,
            step: 0,
            learnt: None,
        }
    }

    /// With this weight decay, after `step` steps of the run. Each step of a run must have its own number.
    pub fn with_decay(self, decay: f64, step: u64) -> Self {
        Self {
            decay,
            step,
            ..self
        }
    }

    /// With what was learnt, if something was.
    pub fn with_learnt(self, learnt: Option<Learnt>) -> Self {
        Self { learnt, ..self }
    }
}
