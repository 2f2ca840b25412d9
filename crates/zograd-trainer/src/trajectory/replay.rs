use super::{Header, Record};
use crate::{Logged, NoWeights, Rule, TrainError, Weights, run_step};
use burn::module::Module;
use thiserror::Error;
use zograd_perturb::{
    AppliedUpdate, Arithmetic, Direction, NoiseBackend, PerturbError, Perturbed, noise,
};
use zograd_select::{StepContext, Strategy};

/// Steps whose updates are handed over together, between two reports of progress.
const STEPS_TOGETHER: usize = 256;

/// Why a log could not be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
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
    /// The run's noise is not what this version makes.
    #[error(
        "the noise of the log is version {found}, and this program makes version {made}; use the version that wrote it"
    )]
    Noise {
        /// [`Header::noise_version`].
        found: u32,
        /// [`zograd_perturb::noise::VERSION`].
        made: u32,
    },
    /// The weights could not be moved.
    #[error(transparent)]
    Perturb(#[from] PerturbError),
    /// The step failed.
    #[error(transparent)]
    Step(#[from] TrainError),
}

/// Walks `model` through the `records` of a run, one after the other, without a forward pass: `strategy`
/// takes its decisions again from the logged losses, and the weights make the same hops as in the run; the updates
/// alone if they stood still between these, or with exact steps, many to a pass. So they end in the same bits on the same kind of backend, for any
/// number of threads, and `strategy` has the memory it had.
///
/// `model` must stand where the run stood before the first of the records, and so must `strategy`.
///
/// # Errors
/// The noise is of another version; the log contradicts itself; what a step can fail with.
pub fn replay<B: NoiseBackend, M: Module<B>>(
    model: &mut Perturbed<B, M>,
    strategy: &mut dyn Strategy,
    header: &Header,
    records: &[Record],
    mut progress: impl FnMut(u64),
) -> Result<(), ReplayError> {
    if header.noise_version != noise::VERSION {
        return Err(ReplayError::Noise {
            found: header.noise_version,
            made: noise::VERSION,
        });
    }
    if model.arithmetic() == Arithmetic::Exact {
        return merge(model, strategy, header, records, progress);
    }
    // among the records that are left there is none after which weights with an anchor were brought back to it
    let records = to_last_anchor(model, strategy, header, records)?;
    if header.stands_still {
        return merge(model, strategy, header, records, progress);
    }
    for record in records {
        again(strategy, header, record, model)?;
        progress(record.step);
    }
    Ok(())
}

/// Gives `strategy` the memory it had after `records` by telling it the logged losses, without any weights.
///
/// # Errors
/// The log contradicts itself.
pub fn retell(
    strategy: &mut dyn Strategy,
    header: &Header,
    records: &[Record],
) -> Result<(), ReplayError> {
    for record in records {
        again(strategy, header, record, &mut NoWeights)?;
    }
    Ok(())
}

/// The updates that a run made in the steps of `records`, with what they have learnt, which the log does not say: `strategy`
/// takes its decisions again, as in [`retell`].
///
/// # Errors
/// The log contradicts itself.
pub fn retold(
    strategy: &mut dyn Strategy,
    header: &Header,
    records: &[Record],
) -> Result<Vec<AppliedUpdate>, ReplayError> {
    let mut made = Made::default();
    for record in records {
        again(strategy, header, record, &mut made)?;
    }
    Ok(made.0)
}

/// No weights, but the updates that they would be moved by.
#[derive(Default)]
struct Made(Vec<AppliedUpdate>);

impl Weights for Made {
    fn begin(&mut self, _step: u64) -> Result<(), PerturbError> {
        Ok(())
    }

    fn move_to(&mut self, _there: &Direction) -> Result<(), PerturbError> {
        Ok(())
    }

    fn make(&mut self, update: &AppliedUpdate) -> Result<(), PerturbError> {
        self.0.push(update.clone());
        Ok(())
    }
}

/// The step of `record`, made again.
fn again(
    strategy: &mut dyn Strategy,
    header: &Header,
    record: &Record,
    weights: &mut impl Weights,
) -> Result<(), ReplayError> {
    let examples = match strategy.is_per_example() {
        true => header.config.batch_size,
        false => 1,
    };
    let context = StepContext::new(record.step - 1, header.seed(record.step), header.eps)
        .with_examples(examples);
    let rule = Rule::new(record.lr, record.weight_decay);
    let mut prober = Logged::new(record, weights);
    let report = run_step(strategy, &context, &mut prober, rule).map_err(|error| match error {
        TrainError::LogEnds { .. } => ReplayError::Losses {
            step: record.step,
            losses: record.losses.len(),
        },
        other => other.into(),
    })?;
    let same = report.direction == record.update && report.skipped == record.skipped;
    match same && prober.left() == 0 {
        true => Ok(()),
        false => Err(ReplayError::Differs { step: record.step }),
    }
}

/// Weights with an anchor: everything before the last time they were brought back to it survives only as updates.
/// Makes these, and returns the records after them.
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
    retell(strategy, header, before)?;
    for update in before.iter().filter_map(Record::applied) {
        model.queue(update);
    }
    model.reanchor()?;
    Ok(after)
}

/// Makes the updates of `records` without the hops between them: there were none, or they left nothing behind. With
/// exact steps as many as fit are merged into one pass.
fn merge<B: NoiseBackend, M: Module<B>>(
    model: &mut Perturbed<B, M>,
    strategy: &mut dyn Strategy,
    header: &Header,
    records: &[Record],
    mut progress: impl FnMut(u64),
) -> Result<(), ReplayError> {
    for records in records.chunks(STEPS_TOGETHER) {
        model.update_all(&retold(strategy, header, records)?)?;
        model.check_range()?;
        if let Some(last) = records.last() {
            progress(last.step);
        }
    }
    Ok(())
}
