//! Tasks for fine-tuning language models: rows of a data set become samples, samples become
//! prompts, prompts become token ids, and predictions become scores.
//!
//! The way is always the same:
//!
//! 1. [`Dataset`] finds the train and validation files of a folder (CSV, JSON lines or Parquet, laid out
//!    as on the Hugging Face hub), or divides one file, and hands out [`Row`]s;
//! 2. a [`Task`] turns a row into a [`Sample`]: a context, its possible endings, and which of them
//!    are right; [`tasks::by_name`] knows the tasks of the MeZO paper that are built in, and a [`UserTask`] is
//!    read from a TOML file;
//! 3. [`Splits`] picks the training, development, test and demonstration samples of a run by seed;
//! 4. a [`PromptEncoder`] turns a sample into a [`Prompt`]: for every ending its token ids and how
//!    many of the last ids are the ending;
//! 5. [`metrics`] scores what a model chose or wrote, and [`rewards`] says what written answers are worth to training.
//!
//! A task is a text format and nothing more, so this crate knows no tensors, no model and no
//! optimiser: it can be tested against token ids that other programs produced, and a model can be
//! tested without it. Texts, ids and lengths equal those of the public MeZO code
//! (`large_models/templates.py`, `tasks.py` and `utils.py`), quirks of its whitespace included.
//!
//! ```
//! use zograd_tasks::{Dataset, Form, PromptEncoder, SplitSizes, Splits, Tokenizer, tasks};
//!
//! let vocabulary = r#"{"<unk>": 0, "It": 1, "was": 2, "great": 3, "terrible": 4, "lovely": 5}"#;
//! let tokenizer = Tokenizer::from_bytes(format!(
//!     r#"{{"version": "1.0", "pre_tokenizer": {{"type": "Whitespace"}}, "added_tokens": [],
//!         "model": {{"type": "WordLevel", "vocab": {vocabulary}, "unk_token": "<unk>"}}}}"#
//! ))?;
//! let data = Dataset::from_json_lines(
//!     "toy",
//!     r#"{"sentence": "lovely", "label": 1}"#,
//!     r#"{"sentence": "lovely lovely ", "label": 1}"#,
//! );
//!
//! let task = tasks::by_name("sst2")?;
//! let sizes = SplitSizes { train: 1, dev: 0, test: 1, demonstrations: 0, ..SplitSizes::default() };
//! let splits = Splits::load(task, &data, sizes, 0.into())?;
//!
//! let encoder = PromptEncoder::new(tokenizer)?.with_bos(Some(0));
//! let prompt = encoder.encode(task, &splits.test[0], Form::ZeroShot)?;
//! assert_eq!(prompt.correct, [1]);
//! assert_eq!(encoder.shown(&prompt.candidates[1])?, "lovely lovely It was great");
//! assert_eq!(prompt.candidates[1].ids, [0, 5, 5, 1, 2, 3]);
//! assert_eq!(prompt.candidates[1].option_len, 1);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod answer_end;
mod chat_task;
mod data;
pub mod metrics;
mod near;
mod permutation;
mod prompt;
pub mod rewards;
mod row;
mod sample;
mod splits;
mod task;
pub mod tasks;
mod user_task;
mod whitespace;

pub use answer_end::AnswerEnd;
pub use chat_task::ChatTask;
pub use data::{DataError, Dataset, Format, Opening, Shares, Split, long_numbers_as_texts};
pub use permutation::sample_indices;
pub use prompt::{
    Demonstrations, EncodedCandidate, Form, Prompt, PromptEncoder, PromptError, Question,
};
pub use row::Row;
pub use sample::{Cloze, Sample};
pub use splits::{Count, SplitCounts, SplitSizes, Splits, Yields};
pub use task::Task;
pub use tokenizers::Tokenizer;
pub use user_task::{TaskFileError, UnknownField, UserTask, template_fields};
pub use zograd_chat::{Chat, ChatError, ChatTemplate};
