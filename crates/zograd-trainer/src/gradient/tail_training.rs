use super::differentiable::differentiable;
use super::tail::{Steps, TailStep};
use crate::train::{Course, batches_of};
use crate::trajectory::Record;
use crate::{
    DecayToward, Examples, Objective, Observer, TrainConfig, TrainError, TrainState, TrainSummary,
};
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::{Model, ModelBackend};
use zograd_perturb::Selection;
use zograd_tasks::Prompt;

/// A run along the tail ([`zograd_models::Tail`]): set up, then [`run`](TailTraining::run).
///
/// The loop is that of [`Training`](crate::Training), and so are the records, in which a step counts as the forward pass
/// that it makes. A step is a function of the weights, the examples and its number, and is no list of seeds: what replays a
/// run is [`TailTraining::repeat`], with the examples.
pub struct TailTraining<'a, B: ModelBackend> {
    step: TailStep,
    course: Course<'a, Model<B>>,
}

impl<'a, B: ModelBackend> TailTraining<'a, B> {
    /// Minimises `objective` on `examples`.
    pub fn new(
        step: TailStep,
        objective: &'a dyn Objective,
        examples: Examples<'a>,
        config: &'a TrainConfig,
    ) -> Self {
        Self {
            step,
            course: Course::new(objective, examples, config),
        }
    }

    /// Goes on after the steps of `state`: the model must be where these left it. The run ends as one that was never
    /// interrupted.
    pub fn resume(mut self, state: TrainState) -> Self {
        self.course.state = state;
        self
    }

    /// Tells `observer` what happens; several are a pair of observers.
    pub fn observer(mut self, observer: impl Observer<Model<B>> + 'a) -> Self {
        self.course.observer = Box::new(observer);
        self
    }

    /// When `stop` becomes true, the current step is given up before the weights move, or finished, and the run ends, to be
    /// resumed.
    pub fn stop(mut self, stop: &'a AtomicBool) -> Self {
        self.course.stop = Some(stop);
        self
    }

    /// Fine-tunes the parameters of `model` that `selection` includes.
    ///
    /// # Errors
    /// A setting out of range, no training examples, an objective without a gradient, examples the model cannot
    /// score, or an error of the observer.
    pub fn run(
        self,
        model: Model<B>,
        selection: &Selection,
    ) -> Result<(Model<B>, TrainSummary), TrainError> {
        self.course.check()?;
        self.course.config.check_decay(DecayToward::Zero)?;
        let (objective, config) = (self.course.objective, self.course.config);
        let model = differentiable::<B, NoCheckpointing>(model, selection);
        let mut steps =
            Steps::new(self.step, objective, config, model).stopped_by(self.course.stop);
        let summary = self.course.run(&mut steps)?;
        Ok((steps.into_model(), summary))
    }

    /// Makes the steps of `records` again, which a run with these settings made from `model` on; without evaluations. Each
    /// must come to the loss that it had, to the bit.
    ///
    /// # Errors
    /// [`TrainError::OtherLoss`] if one does not; [`TrainError::Stopped`]; as [`TailTraining::run`].
    pub fn repeat(
        self,
        model: Model<B>,
        selection: &Selection,
        records: &[Record],
        mut progress: impl FnMut(u64),
    ) -> Result<Model<B>, TrainError> {
        self.course.check()?;
        self.course.config.check_decay(DecayToward::Zero)?;
        let Course {
            objective,
            examples,
            config,
            stop,
            ..
        } = self.course;
        let model = differentiable::<B, NoCheckpointing>(model, selection);
        let mut steps = Steps::new(self.step, objective, config, model).stopped_by(stop);
        let mut batches = batches_of(config, examples);
        for record in records {
            if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(TrainError::Stopped);
            }
            let batch = batches.at(record.step.saturating_sub(1));
            let batch: Vec<&Prompt> = batch.into_iter().map(|i| &examples.train[i]).collect();
            steps.repeat(record, &batch)?;
            progress(record.step);
        }
        Ok(steps.into_model())
    }
}
