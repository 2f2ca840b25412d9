//! Steps along the tail: the gradient of the positions where answers are read, with the prompt held fixed.

use crate::measure::Questions;
use crate::train::{Done, Stepper};
use crate::trajectory::Record;
use crate::{
    Event, Monitor, Objective, Policy, Ruling, StepRecord, TrainConfig, TrainError, TrainState,
    Verdict,
};
use burn::module::{AutodiffModule, ParamId};
use burn_autodiff::Autodiff;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use zograd_models::{GradientSize, Model, ModelBackend, Stride, Tail, TailRule, interruptible};
use zograd_tasks::Prompt;

/// What a step costs: one forward pass. The walk back with the few tokens of the answers is not counted.
const FORWARDS: u64 = 1;

/// What makes a step of the tail's gradient. There is no memory of earlier steps, so that nothing of the weights' size is
/// kept, and the weights are all that a run needs to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TailStep {
    /// `w - lr g / sqrt(mean(g^2))`, the mean over the tensor of the weight; of a table of tokens or positions over its row
    /// with the largest gradient, since most of its rows have none.
    #[default]
    Normalised,
    /// `w - lr g`.
    Sgd,
}

impl TailStep {
    /// What a step costs in forward passes.
    pub fn forwards(self) -> u64 {
        FORWARDS
    }
}

/// Steps along the tail.
pub(super) struct Steps<'a, B: ModelBackend> {
    step: TailStep,
    objective: &'a dyn Objective,
    config: &'a TrainConfig,
    /// What a step is given up for.
    stop: Option<&'a AtomicBool>,
    /// `None` only while it walks.
    model: Option<Model<Autodiff<B>>>,
}

/// A batch as the model sees it.
pub(super) struct Seen<B: ModelBackend> {
    pub(super) loss: f64,
    pub(super) tokens: u64,
    pub(super) slope: Vec<f32>,
    /// `None` if there was nothing to score.
    pub(super) tail: Option<Tail<B>>,
}

impl<B: ModelBackend> Seen<B> {
    /// The loss of a batch and its derivative by the scores, with what the walk back needs. Given up when `stop` is raised.
    pub(super) fn by(
        model: &Model<Autodiff<B>>,
        objective: &dyn Objective,
        batch: &[&Prompt],
        stop: Option<&AtomicBool>,
    ) -> Result<Self, TrainError> {
        let questions = Questions::of_loss(batch, objective)?;
        let forward = |plan| match stop {
            Some(stop) => interruptible(stop, || model.tail(plan)),
            None => model.tail(plan),
        };
        let tail = questions.plan().map(forward).transpose()?;
        let measured = questions.scored(tail.as_ref().map_or(&[], Tail::log_probs));
        let slope = objective.slope(&measured.examples);
        let slope = slope.ok_or(TrainError::NotDifferentiable)?;
        Ok(Self {
            loss: objective.loss(&measured.examples),
            tokens: measured.tokens as u64,
            slope: slope.into_iter().map(|slope| slope as f32).collect(),
            tail,
        })
    }
}

/// How the parameters of one step follow their gradients, and how far they went.
struct Descent {
    step: TailStep,
    lr: f64,
    weight_decay: f64,
    /// Sum of the squares of the gradient.
    squares: f64,
    /// Sum of the squares of what it moved.
    moved: f64,
    /// Tensors that stayed, because their gradient is not finite.
    stayed: usize,
}

impl TailRule for Descent {
    fn stride(&mut self, _id: ParamId, size: GradientSize, decays: bool) -> Stride {
        let factor = match self.step {
            TailStep::Sgd => self.lr,
            TailStep::Normalised if size.mean_square > 0.0 => self.lr / size.mean_square.sqrt(),
            TailStep::Normalised => 0.0,
        };
        if !size.squares.is_finite() {
            self.stayed += 1;
            return Stride {
                keep: 1.0,
                factor: 0.0,
            };
        }
        self.squares += size.squares;
        self.moved += factor * factor * size.squares;
        let decay = if decays { self.weight_decay } else { 0.0 };
        Stride {
            keep: 1.0 - self.lr * decay,
            factor,
        }
    }
}

impl<'a, B: ModelBackend> Steps<'a, B> {
    pub(super) fn new(
        step: TailStep,
        objective: &'a dyn Objective,
        config: &'a TrainConfig,
        model: Model<Autodiff<B>>,
    ) -> Self {
        Self {
            step,
            objective,
            config,
            stop: None,
            model: Some(model),
        }
    }

    /// Steps are given up when this flag is raised, before the weights move.
    pub(super) fn stopped_by(self, stop: Option<&'a AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    fn tuned(&self) -> &Model<Autodiff<B>> {
        self.model
            .as_ref()
            .expect("only a walk that panics leaves no model")
    }

    /// The model as it stands.
    pub(super) fn into_model(self) -> Model<B> {
        self.tuned().valid()
    }

    /// The loss of a batch and its derivative by the scores, with what the walk back needs.
    fn look(&self, batch: &[&Prompt]) -> Result<Seen<B>, TrainError> {
        Seen::by(self.tuned(), self.objective, batch, self.stop)
    }

    /// What is to be done about a step, before its gradient is known.
    fn judge(&self, monitor: &Monitor, loss: f64) -> Ruling {
        let guards = &self.config.guards;
        match loss.is_finite() {
            // a slope that is neither nothing nor unusual
            true => guards.judge(monitor, loss, f64::MIN_POSITIVE, f64::INFINITY, 1.0),
            false => guards.skipped(Event::NonFiniteLoss),
        }
    }

    /// Walks back along what was seen.
    fn follow(&mut self, seen: Seen<B>, lr: f64, weight_decay: f64) -> Descent {
        let mut descent = Descent {
            step: self.step,
            lr,
            weight_decay,
            squares: 0.0,
            moved: 0.0,
            stayed: 0,
        };
        if let Some(tail) = seen.tail {
            let model = self.model.take();
            self.model = model.map(|model| model.walked_back(tail, &seen.slope, &mut descent));
        }
        descent
    }

    /// Makes a step again that a run made on this batch.
    pub(super) fn repeat(&mut self, record: &Record, batch: &[&Prompt]) -> Result<(), TrainError> {
        if record.skipped.is_some() {
            return Ok(());
        }
        let seen = self.look(batch)?;
        if record.losses != [seen.loss] {
            return Err(TrainError::OtherLoss {
                step: record.step,
                logged: record.losses.first().copied().unwrap_or(f64::NAN),
                found: seen.loss,
            });
        }
        self.follow(seen, record.lr, record.weight_decay);
        Ok(())
    }
}

impl<B: ModelBackend> Stepper<Model<B>> for Steps<'_, B> {
    fn step(&mut self, state: &TrainState, batch: &[&Prompt]) -> Result<Done, TrainError> {
        let step = state.summary().steps;
        let seen = self.look(batch)?;
        let ruling = self.judge(state.monitor(), seen.loss);
        let mut record = StepRecord::new(step + 1, vec![seen.loss]);
        record.lr = self.config.lr_at(step);
        record.weight_decay = self.config.weight_decay;
        record.forwards = FORWARDS;
        record.tokens = seen.tokens;
        record.passes = 1;
        record.event = ruling.event;
        let mut stops = ruling.stops;
        match ruling.verdict {
            Verdict::Skip(reason) => record.skipped = Some(reason),
            Verdict::Apply(factor) => {
                record.lr *= factor;
                let descent = self.follow(seen, record.lr, record.weight_decay);
                record.projected_gradient = descent.squares.sqrt();
                record.update_norm = Some(descent.moved.sqrt());
                if descent.stayed > 0 {
                    let event = Event::NonFiniteUpdate;
                    record.event = Some(event);
                    stops |= self.config.guards.policy(event) == Policy::Stop;
                }
            }
        }
        Ok(Done { record, stops })
    }

    fn settle(&mut self, _record: &StepRecord) -> Result<Option<f64>, TrainError> {
        Ok(None)
    }

    fn model(&self) -> Cow<'_, Model<B>> {
        Cow::Owned(self.tuned().valid())
    }
}
