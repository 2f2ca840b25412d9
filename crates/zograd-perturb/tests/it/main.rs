//! What the crate promises, from outside.

mod perturbed;
#[cfg(all(feature = "ndarray", feature = "flex"))]
mod probes;
