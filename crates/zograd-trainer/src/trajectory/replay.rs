use super::{Header, Record};
use crate::{TrainError, Verdict, run_judged_step};
use burn::module::Module;
use thiserror::Error;
use zograd_perturb::{Arithmetic, NoiseBackend, PerturbError, Perturbed};
use zograd_select::{Evaluation, StepContext, Strategy, StrategyError, Update, try_run_step};

/// Steps that are handed over to be merged at a time, between two reports of progress.
const MERGED: usize = 256;

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
/// takes its decisions again from the logged losses, and the weights make the same hops as in the run; with exact
/// steps the updates alone, many to a pass. So they end in the same bits on the same kind of backend, for any
/// number of threads, and `strategy` has the memory it had.
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
    if model.arithmetic() == Arithmetic::Exact {
        remember(strategy, header, records)?;
        return merge(model, records, progress);
    }
    let records = to_last_anchor(model, strategy, header, records)?;
    for record in records {
        let context = header.context(record);
        let mut losses = record.losses.iter();
        let missing = || TrainError::Observer("no more losses".into());
        // a guard decided with what it knew then; the record says how
        let judge = |_: &[Evaluation], _: &Update| match record.skipped {
            Some(reason) => Verdict::Skip(reason),
            None => Verdict::Apply(1.0),
        };
        let report = run_judged_step(
            strategy,
            &context,
            model,
            record.lr,
            record.weight_decay,
            1,
            |_: &[M]| {
                let loss = losses.next().ok_or_else(missing)?;
                Ok(vec![*loss])
            },
            judge,
        );
        let report = match report {
            Err(TrainError::Observer(_)) => return Err(too_few(record)),
            other => other?,
        };
        if report.direction != record.update || report.skipped != record.skipped || losses.len() > 0
        {
            return Err(ReplayError::Differs { step: record.step });
        }
        // in `records` there is no step after which weights with an anchor were brought back to it
        progress(record.step);
    }
    Ok(())
}

/// Weights with an anchor: what happened up to the last time they were brought back to it has left nothing but its
/// updates. Makes these, and returns the records after them.
fn to_last_anchor<'r, B: NoiseBackend, M: Module<B>>(
    model: &mut Perturbed<B, M>,
    strategy: &mut dyn Strategy,
    header: &Header,
    records: &'r [Record],
) -> Result<&'r [Record], ReplayError> {
    let anchors = |record: &Record| header.config.anchors_after(record.step);
    let Some(last) = records.iter().rposition(anchors) else {
        return Ok(records);
    };
    if model.arithmetic() != Arithmetic::Anchored {
        return Ok(records);
    }
    let (before, after) = records.split_at(last + 1);
    remember(strategy, header, before)?;
    for update in before.iter().filter_map(Record::applied) {
        model.remember(update);
    }
    model.reanchor()?;
    Ok(after)
}

/// Makes the updates of `records` without the hops between them: with exact steps these leave nothing behind. As
/// many as fit are merged into one pass.
fn merge<B: NoiseBackend, M: Module<B>>(
    model: &mut Perturbed<B, M>,
    records: &[Record],
    mut progress: impl FnMut(u64),
) -> Result<(), ReplayError> {
    for records in records.chunks(MERGED) {
        let updates: Vec<_> = records.iter().filter_map(Record::applied).collect();
        model.update_all(&updates)?;
        if let Some(last) = records.last() {
            progress(last.step);
        }
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
