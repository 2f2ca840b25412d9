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
//!   (little-endian). The top bit is the sign, the lowest 15 are a slice `k` of the half-normal
//!   distribution, whose magnitude is read off a straight line, `slope * x + intercept` with
//!   `x = 2 k + 1`: one line for each of 64 pieces of the quantile function (the exponent of `x` and
//!   two bits of its mantissa name the piece), fitted by least squares, scaled to variance 1, and
//!   rounded such that the product and the sum are exact in f32. No value is further than 0.002 from
//!   the quantile of its slice; values reach 4.325; the fourth moment is 2.9992.
//! - [`NoiseKind::Rademacher`] (stream 1): element `i` takes bit `i mod 32` of the `i / 32`-th 32-bit
//!   word; 0 is +1, 1 is -1.
//!
//! Everything here is integer arithmetic, look-ups and exact operations on floats, therefore
//! bit-identical wherever it runs. `value_stability` tests pin the bits; changing them is a new version.

/// Version of the bits: part of every trajectory log.
pub const VERSION: u32 = 1;

mod block;
mod keystream;
#[cfg(target_arch = "x86_64")]
mod keystream_avx512;
mod kind;
mod normal;
mod stream;

pub use kind::NoiseKind;
pub(crate) use normal::Normals;
pub use stream::fill;
pub(crate) use stream::{ALIGNMENT, BitStream};
