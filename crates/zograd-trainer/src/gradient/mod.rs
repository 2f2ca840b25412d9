//! What knows a gradient: the baselines that zeroth-order methods are compared with, fine-tuning by backpropagation and
//! linear probing, and the descent along the tail. They see the same batches and tell the same observer.

mod backpropagation;
mod differentiable;
mod linear_probe;
mod optimizer;
mod regression;
mod tail;
mod tail_training;
mod training;

pub use backpropagation::Backpropagation;
pub use linear_probe::{LinearProbe, LinearProbeStage, answer_tokens, fit_linear_probe};
pub use optimizer::GradientOptimizer;
pub use tail::TailStep;
pub use tail_training::TailTraining;
pub use training::GradientTraining;
