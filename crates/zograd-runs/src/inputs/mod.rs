//! What a run reads before it computes: one recipe for training, evaluation and replay.

mod adapter;
mod mixed_up;
mod model;
mod prompts;
mod scoring;
mod sources;
mod task;

pub use adapter::{attach, check_adapter_folder, keep, tuned_hash};
pub use model::{Questions, load, score};
pub(crate) use model::{load_own, with_own_adapter};
pub use prompts::{
    Calibration, check_ids, encoder, max_length, note_truncation, prompts, truncated,
};
pub use scoring::{scoring, with_room};
pub(crate) use sources::task_word;
pub use sources::{BUILT_IN_MODEL, BUILT_IN_TASK, Sources};
pub use task::{built_in_task, open_task};
