//! Where the losses at directions come from.

mod given_up;
mod jointly;
mod logged;
mod loss;
mod model_probe;
mod on_ranks;
mod portion;
mod reward;
mod stacked;
mod standing;
mod walking;
mod weights;

use crate::TrainError;
pub(crate) use given_up::GivenUp;
pub(crate) use jointly::Jointly;
pub use logged::Logged;
pub use loss::Loss;
pub use model_probe::ModelProbe;
pub use on_ranks::OnRanks;
pub(crate) use portion::Portion;
pub use stacked::{InStack, Stacked};
pub use standing::{Standing, stands_still};
use std::ops::Range;
pub use walking::Walking;
pub use weights::{NoWeights, Weights};
use zograd_perturb::{AppliedUpdate, Direction};
use zograd_select::SkipReason;

/// What answers "the losses at these directions", and makes the update that they lead to.
///
/// A step begins, asks for losses some times, then for at most one update, and in the end for rest. What happens in between is
/// the prober's own business: it may walk the weights from probe to probe ([`Walking`]), hold several small sets of
/// them side by side ([`Stacked`]), leave them where they are and have the model made elsewhere part by part
/// ([`Standing`]), share them with other processes ([`OnRanks`]), or know the losses already ([`Logged`]).
pub trait Prober {
    /// Begins the step after `step` others, at rest: which one it is may say what seeds mean
    /// ([`Perturbed::begin`](zograd_perturb::Perturbed::begin)).
    ///
    /// # Errors
    /// The weights could not be moved.
    fn begin(&mut self, step: u64) -> Result<(), TrainError>;

    /// The losses at `theta + eps * direction`, in the order of `directions`.
    ///
    /// # Errors
    /// A direction that is not finite or too far, or a model that cannot be asked. The step ends, and
    /// [`Prober::rest`] is called.
    fn losses(&mut self, directions: &[Direction]) -> Result<Vec<Loss>, TrainError>;

    /// The losses at some of `directions`, those of `mine`, while others find the rest elsewhere. The weights and their
    /// counts are left as [`Prober::losses`] of all of them leaves them, so that all are left alike.
    ///
    /// Finds all of them, unless the prober knows better.
    ///
    /// # Errors
    /// As [`Prober::losses`].
    ///
    /// # Panics
    /// `mine` does not lie within the directions.
    fn some_losses(
        &mut self,
        directions: &[Direction],
        mine: Range<usize>,
    ) -> Result<Vec<Loss>, TrainError> {
        Ok(self.losses(directions)?[mine].to_vec())
    }

    /// Replaces `theta` by `theta - lr * (direction + decay * theta)` and comes to rest there. An update that cannot
    /// be made is refused before anything moved: then it says why.
    ///
    /// # Errors
    /// Whatever else can go wrong.
    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError>;

    /// Comes to rest at `theta`: after an error, a skip, and every update.
    ///
    /// # Errors
    /// The weights could not be moved.
    fn rest(&mut self) -> Result<(), TrainError>;
}

/// What of `all` lies among the `count` after the first `first`, counted from there.
fn within(all: &Range<usize>, first: usize, count: usize) -> Range<usize> {
    let start = all.start.clamp(first, first + count);
    let end = all.end.clamp(start, first + count);
    start - first..end - first
}
