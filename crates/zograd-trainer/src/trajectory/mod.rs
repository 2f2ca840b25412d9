//! The trajectory log: a run as its start weights and some tens of bytes a step.
//!
//! An update of any strategy is a [`Direction`](zograd_perturb::Direction), a handful of numbers, and the
//! strategy's decisions are a function of the losses it was told. So a [`Record`] of both is enough to
//! rebuild the weights of a run without a single forward pass ([`replay`]): the decisions are taken again
//! from the logged losses, the weights walk through the same hops, and end in the same bits.
//!
//! The file is append-only: eight magic bytes, a checksummed [`Header`] in JSON, then one checksummed
//! record a step. A record that was cut off by a crash is recognised by its length or checksum; it and
//! whatever follows it are left out.

mod adapter_start;
mod format;
mod header;
mod reader;
mod replay;
mod start;
mod writer;

pub use adapter_start::{AdapterStart, AdapterStartError};
pub use format::{MAX_HEADER_BYTES, MAX_RECORD_BYTES, Record};
pub use header::{FORMAT_VERSION, Header};
pub use reader::{Tail, Trajectory};
pub use replay::{ReplayError, replay, retell, retold};
pub use start::Walk;
pub use writer::TrajectoryWriter;

use std::path::PathBuf;
use thiserror::Error;

/// Why a log could not be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrajectoryError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder, perhaps that of a run.
    #[error("{path}: it is a folder; give the file of the log{}", in_it(log.as_deref()))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What looks like a log in it.
        log: Option<PathBuf>,
    },
    /// The file does not begin as a log does.
    #[error("{path}: not a trajectory log of zograd")]
    Magic {
        /// The file.
        path: PathBuf,
    },
    /// The header is cut off, damaged, or says what it must not.
    #[error("{path}: the header is damaged: {reason}; without it the log is of no use")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The log was written by a newer zograd.
    #[error(
        "{path}: version {found} of the format, this zograd reads up to version {FORMAT_VERSION}; use a newer zograd"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u32,
    },
    /// The run decayed its weights by a rule that this version does not have.
    #[error(
        "{path}: its weight decay was rounded away, as zograd no longer does; replay it with the zograd that wrote it"
    )]
    LostDecay {
        /// The file.
        path: PathBuf,
    },
    /// A record or header is larger than the format allows.
    #[error("{what} of {bytes} bytes is larger than a log can hold")]
    TooLarge {
        /// A record or a header.
        what: &'static str,
        /// Its size.
        bytes: usize,
    },
}

fn in_it(log: Option<&std::path::Path>) -> String {
    log.map_or_else(String::new, |log| format!(", {}", log.display()))
}
