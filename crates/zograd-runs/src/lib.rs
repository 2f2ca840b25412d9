#![doc = include_str!("../README.md")]

mod backend;
mod error;
mod evaluate;
pub mod experiment;
mod export;
pub mod folder;
pub mod inputs;
mod merge;
mod replay;
mod runs;
mod settings;
mod train;
mod watch;
pub mod words;

pub use backend::{Job, RunBackend, dispatch};
pub use error::{Blame, Problem, Result, RunError};
pub use evaluate::Measured;
pub use export::{Exported, Manifest};
pub use folder::Summary;
pub use replay::{Replay, Replayed, note_tail};
pub use runs::{Runs, with_threads};
pub use settings::*;
pub use watch::{Quiet, RunNote, Watch};
