//! What a run reads before it computes: one recipe for training, evaluation and replay.

mod adapter;
mod built_in;
mod mixed_up;
mod model;
mod prompts;
mod room;
mod rows;
mod scoring;
mod sources;
mod task;

pub use adapter::{attach, check_adapter_folder, keep, tuned_hash};
pub use model::{Questions, load, score};
pub(crate) use model::{load_own, with_own_adapter};
pub use prompts::{
    Calibration, at_row, check_ids, encoder, max_length, note_lengths, prompts, truncated,
};
pub use room::Room;
pub use rows::{note_shortage, rows_in_words};
pub use scoring::{scoring, with_room};
pub(crate) use sources::task_word;
pub use sources::{ModelSource, Sources, TaskSource};
pub use task::{Reading, built_in_task, open_task};
