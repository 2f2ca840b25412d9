//! The methods of this crate, a file each. A new one is its file and two lines here: its module, and its place in the
//! list, from which everything else is generated.

mod adamu;
mod anneal;
mod fzoo;
mod greedy;
mod guiding_vector;
mod guiding_vector_history;
mod hizoo;
mod mezo;
mod n_spsa;
mod per_example;
mod pool;
mod pool_regression;
mod shaping;

pub use adamu::{Adamu, AdamuSettings};
pub use anneal::{Anneal, Annealed};
pub use fzoo::Fzoo;
pub use greedy::Greedy;
pub use guiding_vector::{GuidingVector, GuidingVectorSettings};
pub use guiding_vector_history::GuidingVectorHistory;
pub use hizoo::{Hizoo, HizooSettings};
pub use mezo::Mezo;
pub use n_spsa::{NSpsa, NSpsaSettings};
pub use per_example::PerExample;
pub use pool::PoolSettings;
pub use pool_regression::{PoolRegression, PoolRegressionSettings};
pub use shaping::Shaping;

use crate::Method;

/// In the order in which help lists them.
pub(crate) const BUILT_IN: &[Method] = &[
    Method::of::<Mezo>(),
    Method::of::<NSpsa>(),
    Method::of::<GuidingVector>(),
    Method::of::<GuidingVectorHistory>(),
    Method::of::<Greedy>(),
    Method::of::<PoolRegression>(),
    Method::of::<Fzoo>(),
    Method::of::<Hizoo>(),
    Method::of::<Adamu>(),
    Method::of::<PerExample>(),
];
