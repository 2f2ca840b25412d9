use crate::TrainError;
use std::sync::atomic::AtomicBool;
use zograd_perturb::Seed;
use zograd_select::StepContext;
use zograd_tasks::Prompt;

/// Knows a better direction than noise, from the weights and the examples of a step: that of its first candidate.
///
/// The losses at it are looked at as at any candidate, and what the strategy makes of them is its own business. It must be
/// a function of the weights and the examples alone: a run is made again from these.
pub trait Informant<M> {
    /// The direction for the step that has this batch. When `stop` becomes true it may be given up, with
    /// [`TrainError::Stopped`].
    ///
    /// # Errors
    /// Examples that the model cannot score, or an objective that the informant can say nothing of.
    fn direction(
        &self,
        model: &M,
        batch: &[&Prompt],
        stop: Option<&AtomicBool>,
    ) -> Result<Informed<M>, TrainError>;
}

/// What an [`Informant`] has found, by one forward pass.
#[derive(Clone, Debug)]
pub struct Informed<M> {
    /// A module whose parameters are the direction; `None` if there is none here, and the candidate stays noise.
    pub direction: Option<M>,
    /// Tokens that went through the layers for it.
    pub tokens: u64,
}

/// Whose noise the direction takes the place of: the first candidate of a step draws its own from this seed.
pub(super) fn seed(context: &StepContext) -> Seed {
    context.seed.child(0)
}
