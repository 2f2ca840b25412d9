use super::Backpropagation;
use super::backpropagation::Steps;
use super::differentiable::differentiable;
use crate::train::{Course, Stepper};
use crate::{DecayToward, Examples, Objective, Observer, TrainConfig, TrainError, TrainSummary};
use burn_autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use std::sync::atomic::AtomicBool;
use zograd_models::{Model, ModelBackend};
use zograd_perturb::Selection;

/// A run by backpropagation: set up, then [`run`](GradientTraining::run).
///
/// The loop is that of [`Training`](crate::Training): batches, schedule, evaluations and guards are the same, and so
/// are the records, in which a step counts as three forward passes. Weights are moved in the type they have; 16-bit
/// types are not meant for this.
pub struct GradientTraining<'a, B: ModelBackend> {
    settings: &'a Backpropagation,
    course: Course<'a, Model<B>>,
}

impl<'a, B: ModelBackend> GradientTraining<'a, B> {
    /// Minimises `objective` on `examples`.
    pub fn new(
        settings: &'a Backpropagation,
        objective: &'a dyn Objective,
        examples: Examples<'a>,
        config: &'a TrainConfig,
    ) -> Self {
        Self {
            settings,
            course: Course::new(objective, examples, config),
        }
    }

    /// Tells `observer` what happens; several are a pair of observers.
    pub fn observer(mut self, observer: impl Observer<Model<B>> + 'a) -> Self {
        self.course.observer = Box::new(observer);
        self
    }

    /// When `stop` becomes true, the current step is given up before the next part of its batch, or finished, and the run
    /// ends. It cannot be resumed.
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
        match self.settings.recompute {
            true => self.run_with::<BalancedCheckpointing>(model, selection),
            false => self.run_with::<NoCheckpointing>(model, selection),
        }
    }

    fn run_with<C: CheckpointStrategy>(
        self,
        model: Model<B>,
        selection: &Selection,
    ) -> Result<(Model<B>, TrainSummary), TrainError> {
        let (objective, config) = (self.course.objective, self.course.config);
        let model = differentiable::<B, C>(model, selection);
        let mut steps =
            Steps::new(self.settings, objective, config, model).stopped_by(self.course.stop);
        let summary = self.course.run(&mut steps)?;
        Ok((steps.model().into_owned(), summary))
    }
}
