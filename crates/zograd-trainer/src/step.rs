use crate::{TrainError, Verdict};
use burn::module::Module;
use zograd_perturb::{Direction, NoiseBackend, PerturbError, Perturbed};
use zograd_select::{Evaluation, SkipReason, StepContext, Strategy, Update, try_run_step};

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
    loss: impl FnMut(&M) -> Result<f64, TrainError>,
) -> Result<StepReport, TrainError> {
    let apply = |_: &[Evaluation], _: &Update| Verdict::Apply(1.0);
    run_judged_step(strategy, context, model, lr, decay, loss, apply)
}

/// [`run_step`], where `judge` has the last word on the update that the evaluations led to.
///
/// # Errors
/// As [`run_step`].
pub fn run_judged_step<B: NoiseBackend, M: Module<B>>(
    strategy: &mut dyn Strategy,
    context: &StepContext,
    model: &mut Perturbed<B, M>,
    lr: f64,
    decay: f64,
    mut loss: impl FnMut(&M) -> Result<f64, TrainError>,
    judge: impl FnOnce(&[Evaluation], &Update) -> Verdict,
) -> Result<StepReport, TrainError> {
    let outcome = try_run_step(strategy, context, |direction| {
        model.move_to(direction)?;
        loss(model.module())
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
