//! What the crate promises, from outside. (`hostile` is a program of its own: it counts what the process allocates.)

#[cfg(all(feature = "ndarray", feature = "flex"))]
mod adapters;
#[cfg(feature = "ndarray")]
mod backends;
#[cfg(all(feature = "ndarray", feature = "flex"))]
mod bits;
#[cfg(feature = "ndarray")]
mod families;
mod foreign;
#[cfg(feature = "ndarray")]
mod generate;
#[cfg(feature = "ndarray")]
mod gguf;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod goldens;
#[cfg(feature = "ndarray")]
mod heads;
mod hub;
#[cfg(feature = "ndarray")]
mod interrupt;
#[cfg(feature = "ndarray")]
mod last_norm;
#[cfg(all(feature = "ndarray", feature = "flex"))]
mod low_rank;
#[cfg(feature = "ndarray")]
mod moved;
#[cfg(feature = "ndarray")]
mod operations;
#[cfg(feature = "ndarray")]
mod plan;
#[cfg(feature = "ndarray")]
mod probed;
mod reference;
mod seeded;
mod tokenizer;
#[cfg(feature = "ndarray")]
mod weights;
