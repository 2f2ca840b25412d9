use crate::{Action, SkipReason, StepContext, Strategy, StrategyError, Told, Update};
use zograd_direction::Direction;

/// Evaluations after which a strategy that has not answered is taken to be in a loop.
pub const MAX_EVALUATIONS: usize = 100_000;

/// Refuses the value of a setting with which a step would take more than [`MAX_EVALUATIONS`].
pub(crate) fn check_cost(
    name: &'static str,
    value: usize,
    forwards: usize,
) -> Result<(), StrategyError> {
    if forwards > MAX_EVALUATIONS {
        let fix = format!("a step takes at most {MAX_EVALUATIONS} evaluations; use a smaller one");
        return Err(StrategyError::setting(name, value, fix));
    }
    Ok(())
}

/// How a step went.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// What was evaluated, in order.
    pub evaluations: Vec<Told>,
    /// The update, `None` if the step was skipped.
    pub update: Option<Update>,
    /// Why it was skipped.
    pub skipped: Option<SkipReason>,
}

/// Runs one step on a loss given as a function of the direction: the value of
/// `L(theta + eps * direction)`. Nothing is applied; the outcome says what should be. Whatever the strategy
/// does, an update that is not finite becomes [`SkipReason::NonFiniteUpdate`], which the strategy is told
/// ([`Strategy::not_applied`]).
///
/// # Errors
/// An eps that is not finite or not above 0, the strategy's errors, and [`StrategyError::Unfinished`] if it
/// never comes to an end.
pub fn run_step(
    strategy: &mut dyn Strategy,
    step: &StepContext,
    mut loss: impl FnMut(&Direction) -> f64,
) -> Result<Outcome, StrategyError> {
    try_run_step(strategy, step, |direction| Ok(loss(direction)))
}

/// As [`run_step`], for a loss that can fail: the first failure ends the step.
///
/// # Errors
/// As [`run_step`], and those of `loss`.
pub fn try_run_step<E: From<StrategyError>>(
    strategy: &mut dyn Strategy,
    step: &StepContext,
    mut loss: impl FnMut(&Direction) -> Result<f64, E>,
) -> Result<Outcome, E> {
    try_run_step_together(strategy, step, |directions| {
        directions.iter().map(&mut loss).collect()
    })
}

/// As [`try_run_step`], for losses that are evaluated together: `losses` is given all that the strategy asks for
/// at a time, and answers in the same order.
///
/// # Errors
/// As [`run_step`], those of `losses`, and [`StrategyError::Losses`] if it answers with another number of losses.
pub fn try_run_step_together<E: From<StrategyError>>(
    strategy: &mut dyn Strategy,
    step: &StepContext,
    mut losses: impl FnMut(&[Direction]) -> Result<Vec<f64>, E>,
) -> Result<Outcome, E> {
    if !(step.eps.is_finite() && step.eps > 0.0) {
        let fix = "must be finite and above 0, such as 1e-3";
        return Err(StrategyError::setting("eps", step.eps, fix).into());
    }
    let mut evaluations: Vec<Told> = Vec::new();
    loop {
        let (update, skipped) = match strategy.next(step, &evaluations)? {
            Action::Evaluate(directions) => {
                let total = evaluations.len() + directions.len();
                if directions.is_empty() || total > MAX_EVALUATIONS {
                    let evaluations = evaluations.len();
                    return Err(StrategyError::Unfinished { evaluations }.into());
                }
                let losses = losses(&directions)?;
                let (asked, told) = (directions.len(), losses.len());
                if asked != told {
                    return Err(StrategyError::Losses { asked, told }.into());
                }
                let told = directions.into_iter().zip(losses);
                evaluations.extend(told.map(|(direction, loss)| Told::new(direction, loss)));
                continue;
            }
            Action::Update(update) if update.is_finite() => (Some(update), None),
            Action::Update(_) => {
                strategy.not_applied();
                (None, Some(SkipReason::NonFiniteUpdate))
            }
            Action::Skip(reason) => (None, Some(reason)),
        };
        return Ok(Outcome {
            evaluations,
            update,
            skipped,
        });
    }
}
