//! Seeded noise, and the one operation zeroth-order optimisation performs on weights.
//!
//! A [`Direction`] `d = sum_k c_k z(seed_k)` names a perturbation of a whole model by a few numbers.
//! This crate turns it into a change of the weights: [`Perturbed`] holds a burn module "at" a
//! direction and moves it to another by **one pass over the weights**, each weight read and written
//! once, the noise generated in registers on the way and never stored.
//!
//! - [`noise`]: `z(seed)[tensor, i]` as a pure function of (seed, tensor id, element index), the
//!   same bits on every backend, machine, thread count and chunking;
//! - [`family`]: what a seed means, if it is not noise in every weight: matrices of low rank, one layer, a mask;
//! - [`NoiseBackend`]: the extension of burn's `Backend` by that one operation, in place and out of place;
//! - [`ParameterSpace`]: which named tensors of a module move, in a stable order;
//! - [`Instructions`]: the vector instructions that the CPU's passes use, none of which changes a bit;
//! - [`Perturbed`]: walking a module from direction to direction, and updating it;
//! - [`Probe`]: the same places without walking, a part of the module at a time.
//!
//! It knows nothing of losses, models or tasks: any burn module whose parameters have names will do.
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::LinearConfig;
//! use burn_ndarray::NdArray;
//! use zograd_perturb::{AppliedUpdate, Direction, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
//!
//! let layer = LinearConfig::new(8, 4).init::<NdArray<f32>>(&Default::default());
//! let space = ParameterSpace::select(&layer, &Selection::All)?;
//! assert_eq!(space.names().collect::<Vec<_>>(), ["weight", "bias"]);
//!
//! let z = Direction::unit(Seed::new(7));
//! let mut model = Perturbed::new(layer, space, NoiseKind::Gaussian, 1e-3)?;
//! model.move_to(&z)?; // theta + eps z
//! model.move_to(&-&z)?; // theta - eps z
//! // theta - lr * 0.25 z: restored and updated in one pass
//! model.update(&AppliedUpdate::new(&z * 0.25, 1e-2))?;
//! assert_eq!(model.passes(), 3);
//! let _tuned = model.into_module()?;
//! # Ok::<(), zograd_perturb::PerturbError>(())
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod backend;
mod drift;
mod each;
mod error;
mod excerpt;
pub mod family;
mod grid;
mod grids;
mod hessian;
mod history;
mod informed;
mod kept;
mod kernel;
pub mod noise;
mod numbers;
mod originals;
mod perturbed;
mod resolution;
mod self_check;
mod start_weights;
mod values;
mod vector;

pub use backend::{NoiseBackend, NoisePass, Rooms, Sides};
pub use error::PerturbError;
pub use excerpt::Excerpt;
pub use family::{Family, Perturbation};
pub use grid::{Arithmetic, Grid};
pub use grids::Grids;
pub use noise::NoiseKind;
pub use originals::Originals;
pub use perturbed::{AppliedUpdate, Perturbed, Probe};
pub use resolution::Resolution;
pub use self_check::is_exact_on;
pub use start_weights::StartWeights;
pub use vector::Instructions;
pub use zograd_direction::{Curvature, Direction, Learnt, Momentum, Seed};
pub use zograd_params::{ParameterError, ParameterSpace, ParameterSpec, Selection, TensorId};
