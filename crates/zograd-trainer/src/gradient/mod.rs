//! Baselines that know the gradient, to compare zeroth-order methods with: fine-tuning by backpropagation, and
//! linear probing. They see the same batches and tell the same observer.

mod backpropagation;
mod differentiable;
mod linear_probe;
mod optimizer;
mod regression;
mod training;

pub use backpropagation::Backpropagation;
pub use linear_probe::{LinearProbe, LinearProbeStage, answer_tokens, fit_linear_probe};
pub use optimizer::GradientOptimizer;
pub use training::GradientTraining;
