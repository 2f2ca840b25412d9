//! Which perturbations a zeroth-order step evaluates, and what it makes of their losses.
//!
//! A [`Strategy`] is asked and told: within a step it asks for the losses at some directions, is told
//! them, and so on until it answers with an [`Update`]. It computes with
//! [`Direction`]s (short lists of seeds and coefficients) and numbers, and never sees a tensor, so
//! strategies are small, deterministic, testable on a toy function, and run unchanged on any backend.
//!
//! Built in, by the name of their [`Method`]:
//!
//! | method | estimator | forwards |
//! |---|---|---|
//! | [`Mezo`] | SPSA along one direction | 2 |
//! | [`NSpsa`] | mean of q of those | 2 q |
//! | [`GuidingVector`] | along the mean of the pool's low-loss candidates minus the mean of the rest | M + 2 |
//! | [`GuidingVectorHistory`] | along one new candidate and the best of the steps before | 4 |
//! | [`Greedy`] | along the pool's best candidate | M + 1 |
//! | [`PoolRegression`] | every candidate weighed by its loss (not in the paper) | M |
//!
//! They implement arXiv 2601.04710 as the paper states it.
//!
//! # A strategy of your own
//! One method is mandatory. This one estimates the slope from one side, with a fresh direction a step:
//!
//! ```
//! use zograd_select::{
//!     Action, Direction, Evaluation, Seed, StepContext, Strategy, StrategyError, Update, run_step,
//! };
//!
//! struct OneSided;
//!
//! impl Strategy for OneSided {
//!     fn name(&self) -> &str {
//!         "one-sided"
//!     }
//!
//!     fn forwards(&self) -> usize {
//!         2
//!     }
//!
//!     fn next(&mut self, step: &StepContext, told: &[Evaluation]) -> Result<Action, StrategyError> {
//!         let z = Direction::unit(step.seed.child(0));
//!         Ok(match told {
//!             [here, there] => {
//!                 let slope = (there.loss - here.loss) / step.eps;
//!                 Action::update_or_skip(Update::along(z, slope))
//!             }
//!             _ => Action::Evaluate(vec![Direction::zero(), z]),
//!         })
//!     }
//! }
//!
//! // a bowl in one dimension, with coin tosses as noise
//! let noise = |d: &Direction| -> f64 {
//!     let toss = |seed: u64| if seed % 2 == 0 { 1.0 } else { -1.0 };
//!     d.terms().iter().map(|(seed, c)| c * toss(seed.value())).sum()
//! };
//! let (mut theta, lr, eps) = (3.0, 0.1, 1e-3);
//! for step in 0..50 {
//!     let context = StepContext { step, seed: Seed::new(7).child(step), eps };
//!     let outcome = run_step(&mut OneSided, &context, |d| {
//!         0.5 * (theta + eps * noise(d)).powi(2)
//!     })?;
//!     assert_eq!(outcome.evaluations.len(), OneSided.forwards());
//!     if let Some(update) = outcome.update {
//!         theta -= lr * noise(&update.direction);
//!     }
//! }
//! assert!(theta.abs() < 0.02, "3 * 0.9^50, and one-sided slopes are off by eps / 2");
//! # Ok::<(), zograd_select::StrategyError>(())
//! ```

mod action;
mod error;
mod greedy;
mod guiding_vector;
mod history;
mod method;
mod mezo;
mod n_spsa;
mod pool_regression;
mod run;
mod strategy;

pub use action::{Action, Evaluation, SkipReason, StepContext, Update};
pub use error::StrategyError;
pub use greedy::Greedy;
pub use guiding_vector::GuidingVector;
pub use history::GuidingVectorHistory;
pub use method::Method;
pub use mezo::Mezo;
pub use n_spsa::NSpsa;
pub use pool_regression::PoolRegression;
pub use run::{MAX_EVALUATIONS, Outcome, run_step, try_run_step, try_run_step_together};
pub use strategy::Strategy;
pub use zograd_direction::{Direction, Seed};
