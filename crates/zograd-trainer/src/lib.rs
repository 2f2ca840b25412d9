//! Zeroth-order training, and gradient baselines: from a strategy, a model and examples to tuned weights.
//!
//! The pieces, from the inside out:
//! - [`run_step`]: one step of any [`Strategy`](zograd_select::Strategy) on any burn module and any loss:
//!   the strategy asks for losses at directions, the step walks the weights there in place
//!   ([`Perturbed`](zograd_perturb::Perturbed)) and finally applies the update;
//! - [`Objective`]: the loss of a batch of prompts: [`Classification`] over an example's candidates,
//!   [`TeacherForcing`] on the right one, or a metric itself ([`Accuracy`], [`AnswerF1`]);
//! - [`train`]: the loop with its schedule, batches, evaluation and metrics, which tells an [`Observer`]
//!   what happens and stops when asked;
//! - [`train_by_gradient`] and [`fit_probe`]: the baselines that know the gradient, with the same batches, records
//!   and budget;
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
//! use zograd_select::{Method, StepContext};
//! use zograd_trainer::run_step;
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
//! let mut mezo = Method::Mezo.build()?;
//! let before = loss(model.module())?;
//! for step in 0..200 {
//!     let context = StepContext { step, seed: Seed::new(0).child(step), eps: 1e-3 };
//!     run_step(mezo.as_mut(), &context, &mut model, 0.02, 0.0, loss)?;
//! }
//! assert!(loss(model.module())? < 0.05 * before);
//! # Ok::<(), zograd_trainer::TrainError>(())
//! ```

mod batches;
mod error;
mod evaluate;
mod gradient;
mod guard;
mod memory;
mod model;
mod non_finite;
mod objective;
mod observer;
mod schedule;
mod step;
mod train;
pub mod trajectory;
mod writer;

pub use batches::Batches;
pub use error::TrainError;
pub use evaluate::{Answer, Evaluation, Prediction, Scoring, evaluate};
pub use gradient::{
    Backpropagation, GradientOptimizer, Probe, ProbeStage, answer_tokens, fit_probe,
    train_by_gradient,
};
pub use guard::{Event, Guards, Monitor, Policy, Verdict};
pub use memory::{keep_freed_memory, peak_memory_bytes};
pub use model::LanguageModel;
pub use objective::{
    Accuracy, AnswerF1, Classification, Measured, Objective, Scored, TeacherForcing, measure,
    measure_each, score,
};
pub use observer::{DevScore, EvalRecord, Observer, Silent, StepRecord};
pub use schedule::Schedule;
pub use step::{StepReport, run_judged_step, run_step};
pub use train::{Examples, StopReason, TrainConfig, TrainSummary, train, train_from};
pub use writer::{Writer, Written};
