//! The folder of a run: what is written into it, what is read from it, and what of it belongs together.

mod beginning;
mod card;
mod checkpoint;
mod environment;
mod files;
mod hash;
mod lock;
mod log;
mod manifest;
pub(crate) mod metrics;
mod option_biases;
mod origin;
mod read;
mod rows;
mod summary;
mod task_note;
mod unfinished;
mod whole_steps;
mod write;

pub(crate) use card::{CARD, card, names_a_place};
pub(crate) use checkpoint::{check_seal, checkpoint_folder, checkpoints, folder_hash, seal};
pub use environment::Environment;
pub use files::{
    ANCHOR, BEST, CHAT_TEMPLATE, CONFIG, EXAMPLES, INPUTS, LOG, METRICS, OUTGROWN, SEALS, START,
    SUMMARY,
};
pub(crate) use hash::{Hash, file as file_hash, json as json_hash};
pub(crate) use lock::LOCK;
pub use lock::Lock;
pub use log::note_tail;
pub(crate) use log::{check_base, check_noise, check_replays};
pub use manifest::Manifest;
pub(crate) use manifest::{MANIFEST, refuse_export};
pub use metrics::metrics_seals;
pub(crate) use option_biases::OptionBiases;
pub use origin::Origin;
pub use read::RunRecord;
pub use rows::{ExampleRows, numbers};
pub(crate) use summary::named_scores;
pub use summary::{Summary, scores};
pub use task_note::TaskNote;
pub(crate) use unfinished::Unfinished;
pub use whole_steps::{Interrupted, Longer, check_unfinished};
pub use write::{Claimed, RunFolder};
