//! Baselines that know the gradient, to compare zeroth-order methods with: fine-tuning by backpropagation, and
//! linear probing. They see the same batches and tell the same observer. And the gradient itself, to hold estimates against.

mod alignment;
mod backpropagation;
mod differentiable;
mod exact;
mod linear_probe;
mod optimizer;
mod regression;
mod training;
mod vector;

pub use alignment::{Alignment, Reference, at_origin};
pub use backpropagation::Backpropagation;
pub use exact::exact_gradient;
pub use linear_probe::{LinearProbe, LinearProbeStage, answer_tokens, fit_linear_probe};
pub use optimizer::GradientOptimizer;
pub use training::GradientTraining;
pub use vector::ParameterVector;
