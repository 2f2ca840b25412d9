use crate::{Action, StepContext, StrategyError, Told};

/// A zeroth-order method: which directions a step evaluates, and the update it makes of their losses.
///
/// Three methods are mandatory: `next` decides, `name` and `forwards` say what it is and costs.
/// [`Strategy::next`] is called with everything told so far **in this step**, first with nothing; so a
/// strategy keeps no state within a step. What it remembers from step to step it changes in the call that
/// ends the step.
///
/// **It must be deterministic**: the same steps with the same losses lead to the same actions. Nothing of a
/// strategy is saved. A resumed run builds it anew and tells it the losses of the log again, step by step; one
/// that draws its own random numbers or reads a clock would ask for other directions than were evaluated.
///
/// Implementations should also
/// - apply only combinations of directions that were evaluated in the same step (those of the steps before are
///   added by [`StepRules`](crate::StepRules));
/// - draw candidates from [`StepContext::seed`], so that no two steps share noise;
/// - return [`Action::Skip`] when a loss is not finite, and remember nothing of that step.
///
/// A strategy that is [`Configured`](crate::Configured) becomes a [`Method`](crate::Method), with a name and
/// settings.
pub trait Strategy: Send {
    /// What to do next, given the losses told so far in this step, in the order in which they were asked for.
    ///
    /// # Errors
    /// If the strategy cannot go on at all; the run ends.
    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError>;

    /// A short name for reports.
    fn name(&self) -> &str;

    /// How many evaluations a step takes: what budgets of forward passes are computed with. One of single examples
    /// ([`Strategy::is_per_example`]) is an n-th of one, where a minibatch has n.
    fn forwards(&self) -> usize;

    /// Whether every example of the minibatch has directions of its own. Then the directions that are asked for together
    /// are those of the first example, as many of the second, and so on up to [`StepContext::examples`]; and a loss is
    /// that of its example alone.
    fn is_per_example(&self) -> bool {
        false
    }

    /// Bytes that are kept for each weight that moves, beside it: 4 if updates come with what was learnt
    /// ([`Update::learnt`](crate::Update::learnt)), by default none.
    fn state_bytes_per_weight(&self) -> usize {
        0
    }

    /// The update that was decided last did not reach the weights: a guard vetoed it, it was not finite or there was no
    /// room for it. A strategy that remembers its updates forgets this one; by default nothing happens.
    fn not_applied(&mut self) {}

    /// Whether its updates are as long for any multiple of the losses, by default not.
    fn is_scale_free(&self) -> bool {
        false
    }
}
