//! Model folders that are not as they were written.

#![cfg(feature = "ndarray")]

mod config;
mod folder;
mod gguf;
mod paths;
mod tokenizer;

use zograd_hostile::{Counting, Trial};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const fn trial(reader: &'static str, cases: u32) -> Trial {
    Trial { reader, cases }
}
