//! What the crate promises, from outside.

#[cfg(feature = "ndarray")]
mod factors;
#[cfg(all(feature = "ndarray", feature = "flex"))]
mod families;
mod perturbed;
#[cfg(all(feature = "ndarray", feature = "flex"))]
mod probes;
