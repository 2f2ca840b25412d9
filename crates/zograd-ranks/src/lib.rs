//! The ranks of a run: processes that hold the same weights and share the evaluations of every step.
//!
//! A step's evaluations do not depend on one another, and all that comes of one is a loss; so the ranks send each other
//! some numbers a step, and every one of them makes the same update by itself.
//!
//! ```
//! use zograd_ranks::{Ranks, share};
//!
//! // one process looks at everything
//! let ranks = Ranks::alone();
//! let mine = share(ranks.rank(), ranks.size(), 4, 16);
//! assert_eq!((mine.candidates, mine.examples), (0..4, 0..16));
//! assert_eq!(ranks.gather(b"loss")?, [b"loss"]);
//! # Ok::<(), zograd_ranks::RankError>(())
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod communicator;
mod deal;
mod error;
mod launched;
mod ranks;
mod share;
mod threads;
mod wire;

pub use communicator::{Alone, Communicator};
pub use deal::{Dealt, Ended, Failed};
pub use error::RankError;
pub use launched::Launched;
pub use ranks::Ranks;
pub use share::{Share, block, share};
pub use threads::{Threads, threads};
pub use wire::{Incoming, Outgoing};
