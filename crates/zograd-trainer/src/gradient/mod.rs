//! Baselines that know the gradient, to compare zeroth-order methods with: fine-tuning by backpropagation, and
//! linear probing. They see the same batches and tell the same observer.

mod optimizer;
mod probe;

use crate::objective::score_with;
use crate::train::{ORDER, evaluate_dev};
use crate::{
    Batches, Event, Examples, Objective, Observer, Policy, StepRecord, StopReason, TrainConfig,
    TrainError, TrainSummary, Verdict, peak_memory_bytes,
};
use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{DType, Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
pub use optimizer::GradientOptimizer;
use optimizer::{Optimizer, norm};
pub use probe::{Probe, ProbeStage, answer_tokens, fit_probe};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zograd_models::{ModelBackend, Opt};
use zograd_perturb::{Direction, Seed, Selection};
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

/// Fine-tunes the parameters of `model` that `selection` includes by backpropagation.
///
/// The loop is [`train`](crate::train)'s: batches, schedule, evaluations and guards are the same, and so are the
/// records, in which a step counts as three forward passes. Weights are moved in the type they have; 16-bit types
/// are not meant for this.
///
/// # Errors
/// A setting out of range, no training examples, an objective without a gradient, examples the model cannot score, or
/// an error of the observer.
#[allow(
    clippy::too_many_arguments,
    reason = "train's, and what a gradient needs"
)]
pub fn train_by_gradient<B: ModelBackend>(
    model: Opt<B>,
    selection: &Selection,
    settings: &Backpropagation,
    objective: &dyn Objective,
    examples: Examples<'_>,
    config: &TrainConfig,
    observer: &mut dyn Observer<Opt<B>>,
    stop: &AtomicBool,
) -> Result<(Opt<B>, TrainSummary), TrainError> {
    config.check()?;
    if examples.train.is_empty() {
        return Err(TrainError::NoExamples("training"));
    }
    let run = Run {
        selection,
        settings,
        objective,
        examples,
        config,
    };
    match settings.recompute {
        true => run.train::<B, BalancedCheckpointing>(model, observer, stop),
        false => run.train::<B, NoCheckpointing>(model, observer, stop),
    }
}

struct Run<'a> {
    selection: &'a Selection,
    settings: &'a Backpropagation,
    objective: &'a dyn Objective,
    examples: Examples<'a>,
    config: &'a TrainConfig,
}

/// The gradient of a batch.
struct Gradient {
    loss: f64,
    /// The sum over the terms of the loss.
    sum: GradientsParams,
    terms: usize,
    tokens: usize,
}

impl Run<'_> {
    fn train<B: ModelBackend, C: CheckpointStrategy>(
        &self,
        model: Opt<B>,
        observer: &mut dyn Observer<Opt<B>>,
        stop: &AtomicBool,
    ) -> Result<(Opt<B>, TrainSummary), TrainError> {
        let (config, examples) = (self.config, self.examples);
        let mut model = differentiable::<B, C>(model, self.selection);
        let mut optimizer = Optimizer::new(&self.settings.optimizer, config.weight_decay);
        let order = Seed::new(config.seed).child(ORDER);
        let batches = Batches::new(order, examples.train.len(), config.batch_size);
        let mut summary = TrainSummary::beginning();
        let mut training = Duration::ZERO;
        while summary.steps < config.steps && summary.stop == StopReason::Finished {
            let start = Instant::now();
            let batch = batches.at(summary.steps);
            let batch: Vec<&Prompt> = batch.into_iter().map(|i| &examples.train[i]).collect();
            let gradient = self.gradient(&model, &batch)?;
            let sum = norm(&model, &gradient.sum);
            let length = sum / gradient.terms as f64;
            let (event, verdict, stopped) = self.judge(&summary, gradient.loss, length);
            let mut lr = config.lr_at(summary.steps);
            let mut skipped = None;
            match verdict {
                Verdict::Skip(reason) => skipped = Some(reason),
                Verdict::Apply(factor) => {
                    lr *= factor;
                    // of the sum's, so that a gradient is multiplied once
                    let clip = (self.settings.max_norm / length).min(1.0);
                    let scale = clip / gradient.terms as f64;
                    model = optimizer.step(model, gradient.sum, scale, lr);
                }
            }
            training += start.elapsed();
            let record = StepRecord {
                step: summary.steps + 1,
                loss: gradient.loss,
                losses: vec![gradient.loss],
                projected_gradient: if length.is_finite() { length } else { 0.0 },
                update_norm: None,
                lr,
                forwards: summary.forwards + FORWARDS,
                tokens: summary.tokens + gradient.tokens as u64,
                seconds: training.as_secs_f64(),
                passes: summary.passes + 1,
                peak_memory_bytes: peak_memory_bytes(),
                skipped,
                event,
                weight_decay: config.weight_decay,
                update: Direction::zero(),
            };
            summary.count(&record);
            observer.on_step(&record)?;
            if stopped {
                summary.stop = StopReason::Guard;
            }
            if stop.load(Ordering::Relaxed) {
                summary.stop = StopReason::Interrupted;
            }
            if config.evaluates_after(summary.steps) && !examples.dev.is_empty() {
                let valid = model.valid();
                evaluate_dev(&valid, examples, config, observer, &mut summary, None)?;
            }
        }
        Ok((model.valid(), summary))
    }

    /// The gradient of the loss of a batch, part by part.
    fn gradient<B: ModelBackend, C: CheckpointStrategy>(
        &self,
        model: &Opt<Autodiff<B, C>>,
        batch: &[&Prompt],
    ) -> Result<Gradient, TrainError> {
        let mut sums = GradientsAccumulator::new();
        let (mut loss, mut terms, mut tokens) = (0.0, 0, 0);
        for part in batch.chunks(self.settings.micro_batch.max(1)) {
            let mut tensor = None;
            let select = |prompt: &Prompt| self.objective.candidates(prompt);
            let (scored, stats) = score_with(part, select, |plan| {
                let log_probs = model.log_probs_tensor(plan)?;
                let values = log_probs.clone().inner().into_data().iter().collect();
                tensor = Some(log_probs);
                Ok(values)
            })?;
            let weight = self.objective.terms(&scored);
            loss += weight as f64 * self.objective.loss(&scored);
            terms += weight;
            tokens += stats.tokens;
            let slope = self.objective.slope(&scored);
            let slope = slope.ok_or(TrainError::NotDifferentiable)?;
            let Some(log_probs) = tensor else {
                continue;
            };
            // the chain rule: the objective knows its derivative by the log-probabilities, and this sum has the same
            let slope: Vec<f32> = slope.iter().map(|s| (s * weight as f64) as f32).collect();
            let length = slope.len();
            let slope = Tensor::<Autodiff<B, C>, 1>::from_data(
                TensorData::new(slope, [length]),
                (&log_probs.device(), DType::F32),
            );
            let gradients = (log_probs * slope).sum().backward();
            sums.accumulate(model, GradientsParams::from_grads(gradients, model));
        }
        Ok(Gradient {
            loss: loss / terms as f64,
            sum: sums.grads(),
            terms,
            tokens,
        })
    }

    /// What is to be done about a step, and whether it is the last.
    fn judge(
        &self,
        summary: &TrainSummary,
        loss: f64,
        length: f64,
    ) -> (Option<Event>, Verdict, bool) {
        let guards = &self.config.guards;
        let bad = match (loss.is_finite(), length.is_finite()) {
            (false, _) => Some(Event::NonFiniteLoss),
            (_, false) => Some(Event::NonFiniteUpdate),
            _ => None,
        };
        if let Some(event) = bad {
            let stops = guards.policy(event) == Policy::Stop;
            return (Some(event), Verdict::Skip(event.skip_reason()), stops);
        }
        if length == 0.0 {
            // nothing to follow, and nothing wrong: there is no eps that could be too small
            return (None, Verdict::Apply(1.0), false);
        }
        // no eps: a gradient does not drown in the rounding of two losses
        match summary.monitor.judge(loss, length, f64::INFINITY) {
            None => (None, Verdict::Apply(1.0), false),
            Some((event, factor)) => {
                let policy = guards.policy(event);
                let (verdict, stops) = summary.monitor.verdict(event, factor, policy);
                (Some(event), verdict, stops)
            }
        }
    }
}

/// The model on the differentiating backend, where only the selected parameters have gradients.
fn differentiable<B: ModelBackend, C: CheckpointStrategy>(
    model: Opt<B>,
    selection: &Selection,
) -> Opt<Autodiff<B, C>> {
    Opt::<Autodiff<B, C>>::from_inner(model).map(&mut Track {
        selection,
        path: Vec::new(),
    })
}

struct Track<'a> {
    selection: &'a Selection,
    path: Vec<String>,
}

impl<B: AutodiffBackend> ModuleMapper<B> for Track<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.set_require_grad(self.selection.includes(&self.path.join(".")))
    }
}
