//! Readers of settings and run folders, fed with damaged files.

mod run_folder;
mod settings;

use zograd_hostile::{Counting, Trial};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const fn trial(reader: &'static str, cases: u32) -> Trial {
    Trial { reader, cases }
}
