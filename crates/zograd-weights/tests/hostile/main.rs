//! Weight files that are not as they were written.

mod folder;
mod gguf;
mod paths;
mod pickle;
mod safetensors;

use zograd_hostile::{Counting, Trial};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const fn trial(reader: &'static str, cases: u32) -> Trial {
    Trial { reader, cases }
}
