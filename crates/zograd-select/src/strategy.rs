use crate::{Action, Evaluation, StepContext, StrategyError};
use serde_json::Value;

/// A zeroth-order method: which directions a step evaluates, and the update it makes of their losses.
///
/// [`Strategy::next`] is called with everything told so far **in this step**, first with nothing; so a
/// strategy keeps no state within a step. The crate's documentation has a complete example.
///
/// Implementations should
/// - apply only combinations of directions that were evaluated in the same step;
/// - draw candidates from [`StepContext::seed`], so that no two steps share noise;
/// - return [`Action::Skip`] when a loss is not finite;
/// - be deterministic.
pub trait Strategy: Send {
    /// What to do next, given the losses told so far in this step, in the order in which they were asked for.
    ///
    /// # Errors
    /// If the strategy cannot go on at all; the run ends.
    fn next(&mut self, step: &StepContext, told: &[Evaluation]) -> Result<Action, StrategyError>;

    /// A short name for reports.
    fn name(&self) -> &str;

    /// How many evaluations a step takes: what budgets of forward passes are computed with.
    fn forwards(&self) -> usize;

    /// What has to survive to the next step, for a checkpoint. `Null` for strategies without memory.
    fn state(&self) -> Value {
        Value::Null
    }

    /// Takes up a state that [`Strategy::state`] gave.
    ///
    /// # Errors
    /// [`StrategyError::State`] if it is none of this strategy's.
    fn restore(&mut self, state: Value) -> Result<(), StrategyError> {
        match state {
            Value::Null => Ok(()),
            other => Err(StrategyError::State(format!(
                "{} has no memory, but the state is {other}",
                self.name()
            ))),
        }
    }
}
