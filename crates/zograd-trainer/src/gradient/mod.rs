//! What knows a gradient: the baselines that zeroth-order methods are compared with, fine-tuning by backpropagation and
//! linear probing, and the descent along the tail. They see the same batches and tell the same observer. And the gradient itself,
//! to hold estimates against.

mod alignment;
mod backpropagation;
mod differentiable;
mod exact;
mod linear_probe;
mod optimizer;
mod regression;
mod tail;
mod tail_direction;
mod tail_training;
mod training;
mod vector;

pub use alignment::{Alignment, Reference, at_origin};
pub use backpropagation::Backpropagation;
pub use exact::exact_gradient;
pub use linear_probe::{LinearProbe, LinearProbeStage, answer_tokens, fit_linear_probe};
pub use optimizer::GradientOptimizer;
pub use tail::TailStep;
pub use tail_direction::TailDirection;
pub use tail_training::TailTraining;
pub use training::GradientTraining;
pub use vector::ParameterVector;
