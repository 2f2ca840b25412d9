//! What templates make of chats, against what Hugging Face's transformers makes of them, and templates that are no good.

mod bounds;
mod goldens;
mod spans;
