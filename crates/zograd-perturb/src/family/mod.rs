//! Families of perturbations: what a seed means.
//!
//! A [`Direction`](crate::Direction) is a list of seeds and coefficients, whatever the seeds stand for. A [`Family`] says it:
//! noise in every element of every tensor ([`Dense`]), a matrix of low rank ([`Subzero`], [`Lozo`]), noise in one layer of
//! the model ([`Blocks`]) or in some of its weights ([`Sparse`]). So every strategy works over every family.
//!
//! A seed may mean one thing in one step and another in the next, as where a subspace is drawn anew now and then. It means
//! the same to all probes of a step and to its update ([`Perturbed::begin`](crate::Perturbed::begin)).

mod blocks;
mod dense;
mod factors;
mod in_use;
mod low_rank;
mod lozo;
mod matrix;
mod orthonormal;
mod perturbation;
mod scales;
mod sparse;
mod spec;
mod subzero;

use crate::noise::LARGEST_NOISE;
pub use crate::values::Values;
use crate::{ParameterSpec, Seed};
pub use blocks::{BlockOrder, Blocks};
pub use dense::Dense;
pub use factors::Factors;
pub use low_rank::LowRank;
pub use lozo::Lozo;
pub use perturbation::Perturbation;
pub(crate) use perturbation::Streams;
pub use scales::Scales;
pub use sparse::{Mask, MaskRule, Sparse};
pub use spec::{FamilySpec, PerturbationSpec};
use std::fmt;
use std::sync::Arc;
pub use subzero::Subzero;

/// What a seed means: `z(seed)`, a tensor at a time.
///
/// One method is mandatory. It must be a pure function: the same parameter, step and seed are the same numbers on every
/// machine, or a log cannot be replayed.
///
/// ```
#[doc = include_str!("../../examples/own_family.rs")]
/// ```
pub trait Family: fmt::Debug + Send + Sync {
    /// The noise of `seed` on `parameter` in the step after `step` others.
    fn part(&self, parameter: &ParameterSpec, step: u64, seed: Seed) -> Part;

    /// Whether `parameter` moves in the step after `step` others. What stands still below the first layer that moves is
    /// computed once a step. All parameters move by default.
    fn moves(&self, parameter: &ParameterSpec, step: u64) -> bool {
        let _ = (parameter, step);
        true
    }

    /// What each of some sums of `terms` is on a parameter of two dimensions, by its factors, in the step after `step`
    /// others: so a model finds the losses there and leaves its weights alone. The sums of [`Family::part`], up to the
    /// rounding of f32; whether there is an answer does not depend on the sums.
    ///
    /// `None`, as by default, where the matrix is of no low rank, or not in its own shape.
    fn factors(
        &self,
        parameter: &ParameterSpec,
        step: u64,
        sums: &[Vec<(Seed, f32)>],
    ) -> Option<Factors> {
        let _ = (parameter, step, sums);
        None
    }

    /// [`Family::factors`] of these rows of the matrix alone, in their order: of a table a model looks up few. By
    /// default all are made.
    ///
    /// # Panics
    /// A row is not in the matrix.
    fn factors_of_rows(
        &self,
        parameter: &ParameterSpec,
        step: u64,
        sums: &[Vec<(Seed, f32)>],
        rows: &[u32],
    ) -> Option<Factors> {
        Some(self.factors(parameter, step, sums)?.of_rows(rows))
    }

    /// The first of the steps in a row, up to `step`, in all of which every seed means the same.
    ///
    /// The default says that the step has no part in what a seed means.
    fn since(&self, step: u64) -> u64 {
        let _ = step;
        0
    }

    /// No element of any [`Family::part`] of this parameter is larger in magnitude, as long as seeds mean what they do
    /// in the step after `step` others. Exact steps are as long as this allows.
    ///
    /// The default is the largest number of dense noise.
    fn largest(&self, parameter: &ParameterSpec, step: u64) -> f64 {
        let _ = (parameter, step);
        LARGEST_NOISE
    }

    /// The expected square of an element of [`Family::part`], on average over the parameter and over seeds; 1 by
    /// default. For reports of how long a step is.
    fn mean_square(&self, parameter: &ParameterSpec) -> f64 {
        let _ = parameter;
        1.0
    }
}

/// The noise of a seed on one parameter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Part {
    /// Independent noise of the run's [`NoiseKind`](crate::NoiseKind) in every element, as [`noise`](crate::noise) defines it.
    Dense,
    /// Numbers that are made some other way.
    Made(Arc<dyn Values>),
}

impl Part {
    /// These numbers.
    pub fn made(values: impl Values + 'static) -> Self {
        Self::Made(Arc::new(values))
    }
}
