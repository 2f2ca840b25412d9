//! The folder of a run: what is written into it, what is read from it, and what of it belongs together.

mod checkpoint;
mod environment;
mod files;
mod log;
mod manifest;
pub(crate) mod metrics;
mod read;
mod rows;
mod summary;
mod whole_steps;
mod write;

pub(crate) use checkpoint::{check_seal, checkpoint_folder, checkpoints, seal};
pub use environment::Environment;
pub use files::{ANCHOR, BEST, CONFIG, EXAMPLES, LOG, METRICS, START, SUMMARY};
pub use log::note_tail;
pub(crate) use log::{check_base, check_noise};
pub use manifest::Manifest;
pub(crate) use manifest::{MANIFEST, as_promised};
pub use read::RunRecord;
pub use rows::{ExampleRows, numbers};
pub(crate) use summary::named_scores;
pub use summary::{Summary, scores};
pub use whole_steps::{Interrupted, check_unfinished};
pub use write::RunFolder;
