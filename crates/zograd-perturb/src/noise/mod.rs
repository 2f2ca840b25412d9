//! Noise as a pure function of (seed, tensor id, element index).
//!
//! # Definition (version 2)
//! The random bits of one tensor under one seed are the ChaCha8 keystream with the 256-bit key
//!
//! ```text
//! seed (8 bytes LE) | tensor id (8 bytes LE) | "zograd noise v2\0" (16 bytes)
//! ```
//!
//! and the stream (nonce) of the [`NoiseKind`]. ChaCha is counter-based, so any element is reached
//! without generating those before it, and chunks can be filled by any thread in any order.
//!
//! An element takes `k` bits. 16 blocks of 512 bits are read side by side, as wide registers and neighbouring threads of a
//! GPU do: of the `16 * 512 / k` elements that belong to them, number `16 n + b` takes the `n`-th `k` bits of block `b`. The
//! bits of a block are those of its 32-bit words in turn, the lowest first.
//!
//! - [`NoiseKind::Gaussian`] (stream 0, `k` = 8): the lower four bits choose an entry of one table, the upper four one of
//!   another, and the value is their sum in units of 1/32. `noise/normals.rs` has the tables. The distribution is discrete
//!   and symmetric, its odd moments are 0 and its variance is 1, exactly; its fourth moment is 3 - 4.8e-7, its sixth
//!   15.0007. There are 117 values, the largest 3.03125.
//! - [`NoiseKind::Rademacher`] (stream 1, `k` = 1): 0 is +1, 1 is -1.
//!
//! Everything here is integer arithmetic, look-ups and exact operations on floats, therefore
//! bit-identical wherever it runs. `value_stability` tests pin the bits; changing them is a new version.

/// Version of the bits: part of every trajectory log.
pub const VERSION: u32 = 2;

mod definition;
mod group;
mod keystream;
mod kind;
mod normals;
#[cfg(test)]
mod statistics;
mod stream;

pub use definition::fill;
pub(crate) use group::Group;
#[cfg(feature = "cube")]
pub(crate) use group::{BLOCK_WORDS, BLOCKS};
pub(crate) use keystream::Keystream;
pub use kind::NoiseKind;
pub(crate) use normals::{HIGH, LARGEST_NOISE, LOW, UNIT, normal};
pub(crate) use stream::{key, stream};
