//! Seeds and directions, and what was learnt along them: the vocabulary every other crate of zograd speaks.
//!
//! A zeroth-order method moves the weights of a model along random perturbations. Whatever the
//! method, each of its perturbations is a linear combination of seeded noise,
//!
//! ```text
//! d = sum_k c_k * z(seed_k)
//! ```
//!
//! so it is written down as a short list of (seed, coefficient) pairs, a [`Direction`], however
//! large the model is. Strategies (`zograd-select`) compute with directions alone; only
//! `zograd-perturb` knows how a seed becomes noise. This crate sits below both, and therefore knows
//! neither tensors nor losses.
//!
//! ```
//! use zograd_direction::{Direction, Seed};
//!
//! let (a, b) = (Seed::new(1), Seed::new(2));
//! // the guiding vector of a pool of two: the better candidate minus the worse one
//! let v = Direction::unit(a) - Direction::unit(b);
//! assert_eq!(v.coefficient(b), -1.0);
//! // stepping from +v to -v is itself a direction, and so is going back
//! let hop = -&v - &v;
//! assert_eq!(hop, &v * -2.0);
//! assert!((v.clone() + hop + v).is_zero());
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod curvature;
mod direction;
mod learnt;
mod momentum;
mod seed;

pub use curvature::Curvature;
pub use direction::Direction;
pub use learnt::Learnt;
pub use momentum::Momentum;
pub use seed::Seed;
