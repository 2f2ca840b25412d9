use serde::{Deserialize, Serialize};
use std::fmt;
use zograd_direction::{Direction, Learnt, Seed};

/// What a strategy knows of the step it is in.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepContext {
    /// Steps before this one.
    pub step: u64,
    /// Seed of this step; candidate `i` of a strategy is the noise of `seed.child(i)`.
    pub seed: Seed,
    /// Perturbation scale: a direction `d` is evaluated at `theta + eps d`. Finite and above 0.
    pub eps: f64,
    /// Examples of the step's minibatch, where directions are for single ones
    /// ([`Strategy::is_per_example`](crate::Strategy::is_per_example)); else 1.
    pub examples: usize,
}

impl StepContext {
    /// The step after `step` others, with noise from `seed`.
    pub fn new(step: u64, seed: Seed, eps: f64) -> Self {
        Self {
            step,
            seed,
            eps,
            examples: 1,
        }
    }

    /// The same with so many examples.
    #[must_use]
    pub fn with_examples(self, examples: usize) -> Self {
        Self { examples, ..self }
    }
}

/// A loss that was asked for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Told {
    /// Where, in units of eps.
    pub direction: Direction,
    /// The minibatch loss at `theta + eps * direction`.
    pub loss: f64,
}

impl Told {
    /// The loss at `theta + eps * direction`.
    pub fn new(direction: Direction, loss: f64) -> Self {
        Self { direction, loss }
    }
}

/// What a strategy wants next.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// The losses at these directions, all on the step's minibatch. They may be evaluated in any order, in
    /// parallel, or on other machines; they are told in the order given here.
    Evaluate(Vec<Direction>),
    /// The step is done.
    Update(Update),
    /// The step is done, and the weights stay as they are.
    Skip(SkipReason),
}

impl Action {
    /// The update, or a skip if it is not finite: finite losses can be so far apart that their slope is not.
    pub fn update_or_skip(update: Update) -> Self {
        if update.is_finite() {
            Self::Update(update)
        } else {
            Self::Skip(SkipReason::NonFiniteUpdate)
        }
    }
}

/// How the weights change: `theta <- theta - lr * (direction + lambda * theta)`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// The gradient estimate, scaled by the projected gradient.
    pub direction: Direction,
    /// The slope that was measured, for the record; where several directions were measured, their mean
    /// absolute slope.
    pub projected_gradient: f64,
    /// What the step has learnt for the weights to keep, if something: it shapes the noise of the steps after it.
    pub learnt: Option<Learnt>,
}

impl Update {
    /// The update `slope * v`, where `slope` was measured along `v`.
    pub fn along(v: Direction, slope: f64) -> Self {
        Self::new(v * slope, slope)
    }

    /// The update by a gradient estimate, and the slope to record for it.
    pub fn new(direction: Direction, projected_gradient: f64) -> Self {
        Self {
            direction,
            projected_gradient,
            learnt: None,
        }
    }

    /// The same, with what was learnt.
    #[must_use]
    pub fn with_learnt(self, learnt: impl Into<Learnt>) -> Self {
        Self {
            learnt: Some(learnt.into()),
            ..self
        }
    }

    /// Whether every number of it is finite. An update that is not must not reach the weights.
    pub fn is_finite(&self) -> bool {
        let learnt = self.learnt.as_ref();
        self.projected_gradient.is_finite()
            && self.direction.is_finite()
            && learnt.is_none_or(Learnt::is_finite)
    }
}

/// Why a step made no update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipReason {
    /// A loss was NaN or infinite.
    NonFiniteLoss,
    /// The losses were finite, the update they lead to is too large for a number, be it in `f64` or in the
    /// weights' number format.
    NonFiniteUpdate,
    /// The update is longer than exact steps have room for.
    UpdateTooFar,
    /// A guard: the loss was far above the usual one.
    LossExplosion,
    /// A guard: the losses differed by rounding alone.
    VanishingGradient,
    /// A guard: the projected gradient was far above the usual one.
    ExplodingGradient,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NonFiniteLoss => "a loss was not finite",
            Self::NonFiniteUpdate => "the update was not finite",
            Self::UpdateTooFar => "the update was too long for exact steps",
            Self::LossExplosion => "the loss exploded",
            Self::VanishingGradient => "the losses differed by rounding alone",
            Self::ExplodingGradient => "the projected gradient exploded",
        })
    }
}
