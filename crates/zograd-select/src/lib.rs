//! Which perturbations a zeroth-order step evaluates, and what it makes of their losses.
//!
//! A [`Strategy`] is asked and told: within a step it asks for the losses at some directions, is told
//! them, and so on until it answers with an [`Update`]. It computes with
//! [`Direction`]s (short lists of seeds and coefficients) and numbers, and never sees a tensor, so
//! strategies are small, deterministic, testable on a toy function, and run unchanged on any backend.
//!
//! Built in:
//!
//! | method | estimator | forwards |
//! |---|---|---|
//! | [`Mezo`] | SPSA along one direction | 2 |
//! | [`NSpsa`] | mean of q of those | 2 q |
//! | [`GuidingVector`] | along the mean of the pool's low-loss candidates minus the mean of the rest | M + 2 |
//! | [`GuidingVectorHistory`] | along one new candidate and the best of the steps before | 4 |
//! | [`Greedy`] | along the pool's best candidate | M + 1 |
//! | [`PoolRegression`] | every candidate weighed by its loss (not in the paper) | M |
//! | [`Fzoo`] | one-sided slopes over the spread of the pool's losses (arXiv 2506.09034) | M + 1 |
//! | [`Hizoo`] | along noise shaped by an estimate of the Hessian's diagonal (arXiv 2402.15173) | 3 |
//! | [`Adamu`] | along noise around what was probed before (arXiv 2312.15184) | 2 |
//! | [`PerExample`] | every example of the minibatch along noise of its own (arXiv 2606.02857) | N |
//!
//! The first five implement arXiv 2601.04710 as the paper states it.
//!
//! What is made of the updates of any of them, momentum for one, is in [`StepRules`].
//!
//! A [`Method`] is a strategy with a name and [`Setting`]s ([`Configured`]); [`Methods`] are those that a program
//! knows, and a [`MethodSpec`] is what stands in a log.
//!
//! # A strategy of your own
//! [`Strategy`] has three methods, all mandatory. This one estimates slopes from one side, and has a name and a
//! setting:
//!
//! ```
#![doc = include_str!("../examples/own_strategy.rs")]
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod action;
mod error;
mod known;
mod method;
mod methods;
mod near;
mod run;
mod setting;
mod spec;
mod step_rules;
mod strategy;

pub use action::{Action, SkipReason, StepContext, Told, Update};
pub use error::StrategyError;
pub use known::Methods;
pub use method::{Configured, Method, NoSettings};
pub use methods::{
    Adamu, AdamuSettings, Anneal, Annealed, Fzoo, Greedy, GuidingVector, GuidingVectorHistory,
    GuidingVectorSettings, Hizoo, HizooSettings, Mezo, NSpsa, NSpsaSettings, PerExample,
    PoolRegression, PoolRegressionSettings, PoolSettings, Shaping,
};
pub use run::{MAX_EVALUATIONS, Outcome, run_step, try_run_step, try_run_step_together};
pub use setting::{Choice, Kind, Setting, SettingError};
pub use spec::MethodSpec;
pub use step_rules::{StepRules, StepScale};
pub use strategy::Strategy;
pub use zograd_direction::{Direction, Seed};
