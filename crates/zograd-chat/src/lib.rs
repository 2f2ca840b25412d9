//! Chats: rows that hold them, the templates of models that make one text of them, and where in it the assistant speaks.
//!
//! 1. [`Chat::of_row`] reads a row of messages, of a prompt and its response, or as Alpaca and ShareGPT have them;
//! 2. a [`ChatTemplate`] is the Jinja text that comes with a model, and renders a chat as Hugging Face's transformers do;
//! 3. [`ChatTemplate::assistant`] says which bytes of the text are the assistant's, so that a loss counts these alone.
//!
//! Templates are programs of strangers: what they compute, allocate and write is bounded, and what they say when they
//! refuse a chat is the error.
//!
//! ```
//! use zograd_chat::{Chat, ChatTemplate};
//!
//! let template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}\
//!                 {% if add_generation_prompt %}<assistant>{% endif %}";
//! let template = ChatTemplate::new(template, [("bos_token", "<s>")])?;
//! let row = serde_json::from_str(r#"{"prompt": "2+2?", "response": "4"}"#).expect("an object");
//! let chat = Chat::of_row(&row)?;
//!
//! let rendered = template.assistant(&chat)?;
//! assert_eq!(rendered.text, "<user>2+2?\n<assistant>4\n");
//! assert_eq!(&rendered.text[rendered.spans[0].clone()], "4\n");
//! assert_eq!(template.render(&chat.question(), true)?, "<user>2+2?\n<assistant>");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod chat;
mod error;
mod functions;
mod generation;
mod guard;
mod json;
mod row;
mod spans;
mod template;
mod value;

pub use chat::{Chat, Role};
pub use error::{ChatError, RowError};
pub use row::FIELDS;
pub use spans::Rendered;
pub use template::ChatTemplate;
