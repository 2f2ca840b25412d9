//! What a run reads before it computes: one recipe for training, evaluation and replay.

mod adapter;
mod built_in;
mod chat;
mod columns;
mod mixed_up;
mod model;
mod of_run;
mod prompts;
mod rewards;
mod room;
mod rows;
mod scoring;
mod sources;
mod task;

pub use adapter::{attach, check_adapter_folder, keep, tuned_hash};
pub use chat::{note_chats, with_chat_template, with_template};
pub use model::{Questions, load, score};
pub(crate) use model::{load_own, with_own_adapter};
pub(crate) use of_run::{examples_of_run, names_task, reward_of_run, with_known_rows};
pub use of_run::{with_known, with_known_tokenizer};
pub use prompts::{
    Calibration, at_row, check_ids, encoder, max_length, note_first_tokens, note_lengths,
    note_same_options, prompts, truncated,
};
pub use rewards::{give_fields, try_out};
pub use room::Room;
pub use rows::{note_shortage, rows_in_words};
pub use scoring::{scoring, with_room};
pub(crate) use sources::task_word;
pub use sources::{ModelSource, Sources, TaskSource};
pub use task::{Asked, Reading, built_in_task, divided};
pub(crate) use task::{first_is_chat, rows_alone};
