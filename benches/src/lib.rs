//! What is measured: weight passes, forward passes, whole steps and memory, on random OPT weights of a published
//! shape (times do not depend on the values).
//!
//! The program `measure` of this package runs one measurement and prints one JSON object;
//! `cargo xtask bench` runs it in alternation with other programs and compares. The criterion benches in
//! `benches/` use the same inputs.
//!
//! Speeds of a machine drift between hours: compare only numbers of one run.

pub mod batches;
pub mod counts;
pub mod device;
pub mod forwards;
pub mod generations;
pub mod made;
pub mod passes;
pub mod perturbations;
pub mod probes;
#[cfg(feature = "cuda")]
pub mod products;
pub mod run_inputs;
pub mod slopes;
pub mod steps;

use std::time::Instant;
use zograd_models::{LoadOptions, Model, ModelBackend};

// the code of the project's README compiles
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The model that ships with zograd.
///
/// # Panics
/// There is no writable temporary folder.
pub fn embedded<B: ModelBackend>() -> Model<B> {
    let folder = std::env::temp_dir().join(format!("zograd-bench-{}", std::process::id()));
    zograd_embedded::unpack(&folder).expect("a writable temporary folder");
    let options = LoadOptions::default();
    let loaded = Model::load(&folder.join("model"), &options, &Default::default());
    std::fs::remove_dir_all(&folder).expect("our own folder");
    loaded.expect("the embedded model").0
}

/// Seconds that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The middle of `values`, the upper of two; NaN if there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
