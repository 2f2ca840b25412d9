//! What the crate promises, from outside. (`hostile` is a program of its own: it counts what the process allocates.)

mod chat;
mod encoder;
mod json_lines;
mod metrics;
mod parquet;
mod prompts;
mod reference;
mod splits;
mod tables;
mod user_task;
