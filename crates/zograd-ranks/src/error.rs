use thiserror::Error;

/// Why the ranks cannot go on together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RankError {
    /// A rank ended without a word.
    #[error("rank {rank} is gone")]
    Gone {
        /// Which.
        rank: usize,
    },
    /// A rank failed and said why.
    #[error("rank {rank}: {why}")]
    Failed {
        /// Which; the first of several.
        rank: usize,
        /// What it said.
        why: String,
    },
    /// Bytes that no rank of this program sends.
    #[error("rank {rank} sent what cannot be read ({what}); start the same zograd on all ranks")]
    Unreadable {
        /// Which.
        rank: usize,
        /// What it should have been.
        what: &'static str,
    },
    /// What carries the bytes failed.
    #[error("{0}")]
    Transport(String),
}
