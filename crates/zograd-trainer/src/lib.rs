//! Zeroth-order training, and gradient baselines: from a strategy, a model and examples to tuned weights.
//!
//! The pieces, from the inside out:
//! - [`Prober`]: the losses at directions, by walking the weights in place ([`Walking`]), from weights that stand still
//!   ([`Standing`]), from small adapters side by side ([`Stacked`]), shared with other processes ([`OnRanks`]), or from a
//!   log ([`Logged`]);
//! - [`run_step`]: one step of any [`Strategy`](zograd_select::Strategy) with any prober, so on any burn module and
//!   any loss: the strategy asks for losses at directions, and the prober gives them and makes the update;
//! - [`Objective`]: the loss of a batch of prompts: [`Classification`] over an example's candidates,
//!   [`TeacherForcing`] on the right one, a metric itself ([`Accuracy`], [`AnswerF1`]), or what a
//!   [`Reward`](zograd_tasks::rewards::Reward) says of written answers ([`ByReward`]); [`measure`] asks a model what it
//!   wants to know;
//! - [`MeasuredRate`]: a learning rate from the curvature of the loss, before the first step;
//! - [`Training`]: the loop with its schedule, batches, evaluation and guards, which tells an [`Observer`]
//!   what happens and stops when asked;
//! - [`GradientTraining`] and [`fit_linear_probe`]: the baselines that know the gradient, with the same batches,
//!   records and budget;
//! - [`TailTraining`]: descent along the gradient of the answers' own positions, in the memory of inference; [`TailDirection`]:
//!   the same gradient as a candidate beside noise ([`Training::informed`]);
//! - [`trajectory`]: the log of a run, from which its weights are rebuilt without a forward pass;
//! - [`evaluate`]: the task's metric, loss and predictions; [`Writer`]: answers in the model's words.
//!
//! It parses no arguments and prints nothing: that is the command's part.
//!
//! ```
//! use burn::module::{Module, Param};
//! use burn::tensor::{backend::Backend, Tensor};
//! use burn_ndarray::NdArray;
//! use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
//! use zograd_select::{Mezo, StepContext};
//! use zograd_trainer::{Rule, Walking, run_step};
//!
//! #[derive(Module, Debug)]
//! struct Point<B: Backend> { x: Param<Tensor<B, 1>> }
//!
//! // minimise |x - 1|^2 without a gradient
//! let x = Tensor::<NdArray<f32>, 1>::zeros([10], &Default::default());
//! let point = Point { x: Param::from_tensor(x) };
//! let loss = |p: &Point<NdArray<f32>>| Ok(f64::from((p.x.val() - 1.0).powi_scalar(2).sum().into_scalar()));
//!
//! let space = ParameterSpace::select(&point, &Selection::All)?;
//! let mut model = Perturbed::new(point, space, NoiseKind::Gaussian, 1e-3)?;
//! let before = loss(model.module())?;
//! for step in 0..200 {
//!     let context = StepContext::new(step, Seed::new(0).child(step), 1e-3);
//!     run_step(&mut Mezo, &context, &mut Walking::new(&mut model, loss), Rule::new(0.02, 0.0))?;
//! }
//! assert!(loss(model.module())? < 0.05 * before);
//! # Ok::<(), zograd_trainer::TrainError>(())
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

mod batches;
mod by_example;
mod error;
mod evaluate;
mod gradient;
mod guard;
mod head_fit;
mod measure;
mod measured_rate;
mod memory;
mod non_finite;
mod objective;
mod observer;
mod prober;
mod record;
mod schedule;
mod step;
mod train;
pub mod trajectory;
mod writer;

pub use batches::Batches;
pub use by_example::losses_by_example;
pub use error::TrainError;
pub(crate) use evaluate::evaluate_loss;
pub use evaluate::{
    Answer, Evaluation, Prediction, Scoring, bias_examples, evaluate, evaluate_on, option_biases,
};
pub use gradient::{
    Alignment, Backpropagation, GradientOptimizer, GradientTraining, LinearProbe, LinearProbeStage,
    ParameterVector, Reference, TailDirection, TailStep, TailTraining, answer_tokens, at_origin,
    exact_gradient, fit_linear_probe,
};
pub use guard::{Event, Guards, Monitor, Policy, Ruling, Verdict};
pub use head_fit::{HeadFit, HeadFitStage};
pub use measure::{Measured, measure, measure_at_each, measure_each};
pub use measured_rate::{MeasuredRate, Measuring};
pub use memory::{keep_freed_memory, peak_memory_begins, peak_memory_bytes};
pub use objective::{
    Accuracy, AnswerF1, ByReward, Calibrated, Classification, Objective, Scored, TeacherForcing,
};
pub use observer::{Observer, Silent};
pub use prober::{
    InStack, Logged, Loss, ModelProbe, NoWeights, OnRanks, Prober, Stacked, Standing, Walking,
    Weights, stands_still,
};
pub use record::{DevScore, EvalRecord, StepRecord};
pub use schedule::Schedule;
pub use step::{Rule, StepReport, run_judged_step, run_step};
pub use train::{
    Allowance, BestBy, DecayToward, Examples, Gain, Informant, Informed, Limit, Spent, StopReason,
    TrainConfig, TrainState, TrainSummary, Training,
};
pub use writer::{Writer, Written};
pub use zograd_models::LanguageModel;
pub use zograd_ranks::{RankError, Ranks};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
