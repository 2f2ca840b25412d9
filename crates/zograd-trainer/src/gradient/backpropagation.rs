use super::GradientOptimizer;
use super::optimizer::{Optimizer, norm};
use crate::measure::Questions;
use crate::train::{Done, Stepper};
use crate::{
    Event, Monitor, Objective, Ruling, StepRecord, TrainConfig, TrainError, TrainState, Verdict,
};
use burn::module::AutodiffModule;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{DType, Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::{Model, ModelBackend, Plan, interruptible};
use zograd_tasks::Prompt;

/// What a step by backpropagation costs: one forward, and a backward that counts as two.
const FORWARDS: u64 = 3;

/// The settings of fine-tuning by backpropagation that [`TrainConfig`] does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backpropagation {
    /// What makes a step of a gradient.
    pub optimizer: GradientOptimizer,
    /// Longer gradients are shortened to this length; infinity: never.
    pub max_norm: f64,
    /// Examples whose activations are in memory at a time. The gradients of the parts of a batch are added up: the
    /// result is that of the whole to rounding, with less memory.
    pub micro_batch: usize,
    /// Compute cheap activations again in the backward pass instead of keeping them.
    pub recompute: bool,
}

impl Backpropagation {
    /// What a step costs in forward passes.
    pub fn forwards(&self) -> u64 {
        FORWARDS
    }
}

/// Steps by backpropagation.
pub(super) struct Steps<'a, B: ModelBackend, C: CheckpointStrategy> {
    settings: &'a Backpropagation,
    objective: &'a dyn Objective,
    config: &'a TrainConfig,
    /// What a step is given up for.
    stop: Option<&'a AtomicBool>,
    optimizer: Optimizer<Autodiff<B, C>, Model<Autodiff<B, C>>>,
    /// `None` only while the optimiser holds it.
    model: Option<Model<Autodiff<B, C>>>,
}

/// The gradient of a batch.
pub(super) struct Gradient {
    pub(super) loss: f64,
    /// The sum over the terms of the loss.
    pub(super) sum: GradientsParams,
    pub(super) terms: usize,
    tokens: usize,
}

impl<'a, B: ModelBackend, C: CheckpointStrategy> Steps<'a, B, C> {
    pub(super) fn new(
        settings: &'a Backpropagation,
        objective: &'a dyn Objective,
        config: &'a TrainConfig,
        model: Model<Autodiff<B, C>>,
    ) -> Self {
        Self {
            settings,
            objective,
            config,
            stop: None,
            optimizer: Optimizer::new(&settings.optimizer, config.weight_decay),
            model: Some(model),
        }
    }

    /// Steps are given up when this flag is raised.
    pub(super) fn stopped_by(self, stop: Option<&'a AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// The model as it stands.
    fn tuned(&self) -> &Model<Autodiff<B, C>> {
        self.model
            .as_ref()
            .expect("only a panicking optimiser leaves no model")
    }

    /// Moves the model along `scale` times these gradients.
    fn follow(&mut self, gradients: GradientsParams, scale: f64, lr: f64) {
        let model = self.model.take();
        self.model = model.map(|model| self.optimizer.step(model, gradients, scale, lr));
    }

    /// The gradient of the loss of a batch, part by part.
    pub(super) fn gradient(&self, batch: &[&Prompt]) -> Result<Gradient, TrainError> {
        let mut sums = GradientsAccumulator::new();
        let (mut loss, mut terms, mut tokens) = (0.0, 0, 0);
        for part in batch.chunks(self.settings.micro_batch.max(1)) {
            if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(TrainError::Stopped);
            }
            let questions = Questions::new(part, self.objective)?;
            let log_probs = match questions.plan() {
                Some(plan) => Some(self.forward(plan)?),
                None => None,
            };
            let values: Vec<f32> = match &log_probs {
                Some(tensor) => tensor.clone().inner().into_data().iter().collect(),
                None => Vec::new(),
            };
            let measured = questions.scored(&values);
            let scored = &measured.examples;
            let weight = self.objective.terms(scored);
            loss += weight as f64 * self.objective.loss(scored);
            terms += weight;
            tokens += measured.tokens;
            let slope = self.objective.slope(scored);
            let slope = slope.ok_or(TrainError::NotDifferentiable)?;
            let Some(log_probs) = log_probs else {
                continue;
            };
            let slope: Vec<f32> = slope.iter().map(|s| (s * weight as f64) as f32).collect();
            let gradients = weighed(log_probs, slope).backward();
            let model = self.tuned();
            sums.accumulate(model, GradientsParams::from_grads(gradients, model));
        }
        Ok(Gradient {
            loss: loss / terms as f64,
            sum: sums.grads(),
            terms,
            tokens,
        })
    }

    /// The scores of a plan, if nobody asks for an end meanwhile.
    fn forward(&self, plan: &Plan) -> Result<Tensor<Autodiff<B, C>, 1>, TrainError> {
        let forward = || self.tuned().log_probs_tensor(plan);
        let scores = match self.stop {
            Some(stop) => interruptible(stop, forward),
            None => forward(),
        };
        Ok(scores?)
    }

    /// What is to be done about a step.
    fn judge(&self, monitor: &Monitor, loss: f64, length: f64) -> Ruling {
        let guards = &self.config.guards;
        if !loss.is_finite() {
            return guards.skipped(Event::NonFiniteLoss);
        }
        if !length.is_finite() {
            return guards.skipped(Event::NonFiniteUpdate);
        }
        if length == 0.0 {
            // nothing to follow, and nothing wrong: there is no eps that could be too small
            return Ruling::default();
        }
        // no eps: a gradient does not drown in the rounding of two losses
        guards.judge(monitor, loss, length, f64::INFINITY, 1.0)
    }
}

/// A number whose derivative by the weights is that of the loss, by the chain rule: the objective knows the loss's
/// derivative by the log-probabilities, and this sum has the same.
fn weighed<B: ModelBackend, C: CheckpointStrategy>(
    log_probs: Tensor<Autodiff<B, C>, 1>,
    slope: Vec<f32>,
) -> Tensor<Autodiff<B, C>, 1> {
    let length = slope.len();
    let slope = TensorData::new(slope, [length]);
    let slope = Tensor::from_data(slope, (&log_probs.device(), DType::F32));
    (log_probs * slope).sum()
}

impl<B: ModelBackend, C: CheckpointStrategy> Stepper<Model<B>> for Steps<'_, B, C> {
    fn step(&mut self, state: &TrainState, batch: &[&Prompt]) -> Result<Done, TrainError> {
        let step = state.summary().steps;
        let gradient = self.gradient(batch)?;
        let sum = norm(self.tuned(), &gradient.sum);
        let length = sum / gradient.terms as f64;
        let ruling = self.judge(state.monitor(), gradient.loss, length);
        let mut record = StepRecord::new(step + 1, vec![gradient.loss]);
        record.lr = self.config.lr_at(step);
        match ruling.verdict {
            Verdict::Skip(reason) => record.skipped = Some(reason),
            Verdict::Apply(factor) => {
                record.lr *= factor;
                // of the sum's, so that a gradient is multiplied once
                let clip = (self.settings.max_norm / length).min(1.0);
                let scale = clip / gradient.terms as f64;
                self.follow(gradient.sum, scale, record.lr);
            }
        }
        record.projected_gradient = if length.is_finite() { length } else { 0.0 };
        record.forwards = FORWARDS;
        record.tokens = gradient.tokens as u64;
        record.passes = 1;
        record.event = ruling.event;
        Ok(Done {
            record,
            stops: ruling.stops,
        })
    }

    fn settle(&mut self, _record: &StepRecord) -> Result<Option<f64>, TrainError> {
        Ok(None)
    }

    fn model(&self) -> Cow<'_, Model<B>> {
        Cow::Owned(self.tuned().valid())
    }
}
