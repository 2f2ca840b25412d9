//! Test support: damaged input, and a watch over what a reader does with it.
//!
//! A test gives a valid file, a proptest strategy that damages it, and a reader. [`Trial::run`] feeds the
//! reader some thousands of damaged files and fails if one of them panics, takes too long, or allocates
//! more than the file's size can justify. `ZOGRAD_HOSTILE_CASES` multiplies the number of files.
//!
//! The damage is aimed: [`bytes`] changes bytes and binary numbers, [`text`] words and lines, [`json`]
//! values and keys, so that the reader's inner layers are reached as well as its first check.

mod allocations;
pub mod bytes;
pub mod json;
#[cfg(unix)]
pub mod places;
pub mod text;
mod trial;
mod watchdog;

pub use allocations::Counting;
pub use trial::{Seen, Trial};
