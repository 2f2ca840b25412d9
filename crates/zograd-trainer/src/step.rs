use crate::{TrainError, Verdict};
use burn::module::Module;
use std::slice;
use zograd_perturb::{Direction, NoiseBackend, PerturbError, Perturbed};
use zograd_select::{Evaluation, SkipReason, StepContext, Strategy, Update, try_run_step_together};

/// What one step did.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The evaluated directions and their losses, in the order asked.
    pub evaluations: Vec<Evaluation>,
    /// What was subtracted from the weights, before the factor of the learning rate; zero if skipped.
    pub direction: Direction,
    /// The projected gradient as it was measured; 0 if none was.
    pub projected_gradient: f64,
    /// The learning rate, after the factor of the verdict.
    pub lr: f64,
    /// Why no update was made.
    pub skipped: Option<SkipReason>,
}

/// One step of `strategy`: walks `model` to every direction the strategy asks about, evaluates `loss`
/// there, and applies the update with learning rate `lr` and weight decay `decay`.
///
/// Passes over the weights: one per evaluation and one for restore and update together. If the step is
/// skipped, or an error ends it, the weights are restored to where they were (to rounding). A non-finite
/// loss or update is skipped and never reaches the weights.
///
/// # Errors
/// Whatever `loss` or the strategy returns, and [`PerturbError`] if the strategy asks for a direction that
/// is not finite.
pub fn run_step<B: NoiseBackend, M: Module<B>>(
    strategy: &mut dyn Strategy,
    context: &StepContext,
    model: &mut Perturbed<B, M>,
    lr: f64,
    decay: f64,
    mut loss: impl FnMut(&M) -> Result<f64, TrainError>,
) -> Result<StepReport, TrainError> {
    let losses = |modules: &[M]| modules.iter().map(&mut loss).collect();
    let apply = |_: &[Evaluation], _: &Update| Verdict::Apply(1.0);
    run_judged_step(strategy, context, model, lr, decay, 1, losses, apply)
}

/// [`run_step`], with two more liberties: the losses of up to `at_once` modules are found together, which needs as
/// many copies of the parameters that move (and no more, since burn's tensors are copied on write); and `judge` has
/// the last word on the update that the evaluations led to.
///
/// # Errors
/// As [`run_step`]; [`zograd_select::StrategyError::Losses`] if `losses` answers with another number of losses than it
/// was given modules.
#[allow(clippy::too_many_arguments, reason = "run_step's, and two liberties")]
pub fn run_judged_step<B: NoiseBackend, M: Module<B>>(
    strategy: &mut dyn Strategy,
    context: &StepContext,
    model: &mut Perturbed<B, M>,
    lr: f64,
    decay: f64,
    at_once: usize,
    mut losses: impl FnMut(&[M]) -> Result<Vec<f64>, TrainError>,
    judge: impl FnOnce(&[Evaluation], &Update) -> Verdict,
) -> Result<StepReport, TrainError> {
    let outcome = try_run_step_together(strategy, context, |directions| {
        let mut found = Vec::with_capacity(directions.len());
        for directions in directions.chunks(at_once.max(1)) {
            if let [direction] = directions {
                model.move_to(direction)?;
                found.extend(losses(slice::from_ref(model.module()))?);
                continue;
            }
            let mut modules = Vec::with_capacity(directions.len());
            for direction in directions {
                model.move_to(direction)?;
                modules.push(model.module().clone());
            }
            found.extend(losses(&modules)?);
        }
        Ok(found)
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            model.move_to(&Direction::zero())?;
            return Err(error);
        }
    };
    let mut report = StepReport {
        evaluations: outcome.evaluations,
        direction: Direction::zero(),
        projected_gradient: 0.0,
        lr,
        skipped: outcome.skipped,
    };
    if let Some(update) = outcome.update {
        report.projected_gradient = update.projected_gradient;
        match judge(&report.evaluations, &update) {
            Verdict::Skip(reason) => report.skipped = Some(reason),
            Verdict::Apply(factor) => {
                report.lr = lr * factor;
                match model.update(&update.direction, report.lr, decay) {
                    Ok(()) => report.direction = update.direction,
                    Err(PerturbError::NonFinite(_)) => {
                        report.skipped = Some(SkipReason::NonFiniteUpdate);
                    }
                    Err(PerturbError::TooFar { .. }) => {
                        report.skipped = Some(SkipReason::UpdateTooFar);
                    }
                    Err(other) => return Err(other.into()),
                }
            }
        }
    }
    // after an update the model stands there already, and this is no pass
    model.move_to(&Direction::zero())?;
    Ok(report)
}
