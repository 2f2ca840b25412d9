#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

mod backend;
mod classes;
mod convert;
mod descendants;
mod doctor;
mod error;
mod evaluate;
pub mod experiment;
mod export;
pub mod folder;
pub mod inputs;
mod inspect;
mod merge;
mod pace;
mod predict;
mod predictions;
mod promise;
mod ranks;
mod replay;
mod reward_program;
mod runs;
mod settings;
mod threads;
mod train;
mod verify;
mod watch;
pub mod words;

pub use backend::{Job, RunBackend, dispatch};
pub use classes::{ClassReport, ClassScores};
pub use doctor::{BackendHealth, Diagnosis, FolderHealth, HubHealth};
pub use error::{Blame, Problem, Result, RunError};
pub use evaluate::{EvalReport, RewardReport};
pub use export::Exported;
pub use folder::{Manifest, Summary, note_tail};
pub use inspect::{ChatCounts, DataReport, FieldReport, Lengths, Shared, SplitReport};
pub use predict::Predicted;
pub use promise::Promise;
pub use replay::{Replay, Replayed};
pub use reward_program::RewardProgram;
pub use runs::Runs;
pub use settings::*;
pub use threads::{MAX_THREADS, start_threads, with_threads};
pub use train::{AlignReport, BlockShare, HEAD_FIT, MethodAlignment};
pub use verify::Verified;
pub use watch::{Quiet, RunNote, Watch};
pub use zograd_ranks::Ranks;
