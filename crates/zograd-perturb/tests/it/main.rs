//! What the crate promises, from outside.

#[cfg(feature = "ndarray")]
mod factors;
#[cfg(all(feature = "ndarray", feature = "flex"))]
mod families;
#[cfg(feature = "ndarray")]
mod informed;
mod perturbed;
#[cfg(all(feature = "ndarray", feature = "flex"))]
mod probes;
