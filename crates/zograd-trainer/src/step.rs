use crate::TrainError;
use burn::module::Module;
use zograd_perturb::{Direction, NoiseBackend, PerturbError, Perturbed};
use zograd_select::{Evaluation, SkipReason, StepContext, Strategy, try_run_step};

/// What one step did.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The evaluated directions and their losses, in the order asked.
    pub evaluations: Vec<Evaluation>,
    /// What was subtracted from the weights, before the factor of the learning rate; zero if skipped.
    pub direction: Direction,
    /// The projected gradient; 0 if skipped.
    pub projected_gradient: f64,
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
        skipped: outcome.skipped,
    };
    if let Some(update) = outcome.update {
        match model.update(&update.direction, lr, decay) {
            Ok(()) => {
                report.direction = update.direction;
                report.projected_gradient = update.projected_gradient;
            }
            Err(PerturbError::NonFinite(_)) => report.skipped = Some(SkipReason::NonFiniteUpdate),
            Err(other) => return Err(other.into()),
        }
    }
    // after an update the model stands there already, and this is no pass
    model.move_to(&Direction::zero())?;
    Ok(report)
}
