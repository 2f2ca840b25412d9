//! Noise as a pure function of (seed, tensor id, element index).
//!
//! # Definition (version 1)
//! The random bits of one tensor under one seed are the ChaCha8 keystream with the 256-bit key
//!
//! ```text
//! seed (8 bytes LE) | tensor id (8 bytes LE) | "zograd noise v1\0" (16 bytes)
//! ```
//!
//! and the stream (nonce) of the [`NoiseKind`]. ChaCha is counter-based, so any element is reached
//! without generating those before it, and chunks can be filled by any thread in any order.
//!
//! - [`NoiseKind::Gaussian`] (stream 0): element `i` takes the `i`-th 16 bits of the keystream
//!   (little-endian). The lowest 15 select the magnitude in a table of the half-normal quantile
//!   function, the top one is the sign. The table holds the quantiles at the midpoints of 32,768
//!   equal slices, scaled to variance exactly 1 in f64 and rounded to f32, so values reach 4.325
//!   and are symmetric; the excess kurtosis is -0.00075.
//! - [`NoiseKind::Rademacher`] (stream 1): element `i` takes bit `i mod 32` of the `i / 32`-th 32-bit
//!   word; 0 is +1, 1 is -1.
//!
//! Everything here is integer arithmetic and table look-ups, therefore bit-identical wherever it
//! runs. `value_stability` tests pin the bits; changing them is a new version.

mod kind;
mod normal_table;
mod stream;

pub use kind::NoiseKind;
pub(crate) use normal_table::{MAGNITUDE_MASK, NormalTable, normal_table};
pub use stream::fill;
pub(crate) use stream::{ALIGNMENT, BitStream};
