use super::{Header, Record};
use crate::{TrainError, run_step};
use burn::module::Module;
use thiserror::Error;
use zograd_perturb::{NoiseBackend, PerturbError, Perturbed};
use zograd_select::{StepContext, Strategy, StrategyError, try_run_step};

/// Why a log could not be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The strategy, told the logged losses, decides otherwise than the log says.
    #[error(
        "step {step}: the method does not lead from the logged losses to the logged update; the log was written by another version, or is not this run's"
    )]
    Differs {
        /// The step.
        step: u64,
    },
    /// The strategy asks for more losses than the log has.
    #[error("step {step}: the log has {losses} losses, and the method asks for more")]
    Losses {
        /// The step.
        step: u64,
        /// How many losses it has.
        losses: usize,
    },
    /// The strategy refused its parameters or its step.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// The weights could not be moved.
    #[error(transparent)]
    Perturb(#[from] PerturbError),
    /// The step failed.
    #[error(transparent)]
    Step(#[from] TrainError),
}

/// Walks `model` through the `records` of a run, one after the other, without a forward pass: `strategy`
/// takes its decisions again from the logged losses, and the weights make the same hops as in the run. So
/// they end in the same bits on the same kind of backend, for any number of threads, and `strategy` has the
/// memory it had.
///
/// `model` must stand where the run stood before the first of the records, and so must `strategy`.
///
/// # Errors
/// The log contradicts itself; what a step can fail with.
pub fn replay<B: NoiseBackend, M: Module<B>>(
    model: &mut Perturbed<B, M>,
    strategy: &mut dyn Strategy,
    header: &Header,
    records: &[Record],
    mut progress: impl FnMut(u64),
) -> Result<(), ReplayError> {
    for record in records {
        let context = header.context(record);
        let mut losses = record.losses.iter();
        let missing = || TrainError::Observer("no more losses".into());
        let report = run_step(
            strategy,
            &context,
            model,
            record.lr,
            record.weight_decay,
            |_| losses.next().copied().ok_or_else(missing),
        );
        let report = match report {
            Err(TrainError::Observer(_)) => return Err(too_few(record)),
            other => other?,
        };
        if report.direction != record.update || report.skipped != record.skipped || losses.len() > 0
        {
            return Err(ReplayError::Differs { step: record.step });
        }
        progress(record.step);
    }
    Ok(())
}

/// Gives `strategy` the memory it had after `records`, without touching any weights.
///
/// # Errors
/// The log contradicts itself.
pub fn remember(
    strategy: &mut dyn Strategy,
    header: &Header,
    records: &[Record],
) -> Result<(), ReplayError> {
    for record in records {
        let mut losses = record.losses.iter();
        // NaN stands for a loss that is not there; a real one ends the step with a skip as well
        let outcome = try_run_step(strategy, &header.context(record), |_| {
            Ok::<_, StrategyError>(losses.next().copied().unwrap_or(f64::NAN))
        })?;
        if outcome.evaluations.len() > record.losses.len() {
            return Err(too_few(record));
        }
        if outcome.update.is_some_and(|u| u.direction != record.update) && record.skipped.is_none()
        {
            return Err(ReplayError::Differs { step: record.step });
        }
    }
    Ok(())
}

fn too_few(record: &Record) -> ReplayError {
    ReplayError::Losses {
        step: record.step,
        losses: record.losses.len(),
    }
}

impl Header {
    fn context(&self, record: &Record) -> StepContext {
        StepContext {
            step: record.step - 1,
            seed: self.seed(record.step),
            eps: self.eps,
        }
    }
}
