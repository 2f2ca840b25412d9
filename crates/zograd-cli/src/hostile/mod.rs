//! Readers of this program, fed with damaged files.

mod config_file;
mod run_folder;

use zograd_hostile::{Counting, Trial};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const fn trial(reader: &'static str, cases: u32) -> Trial {
    Trial { reader, cases }
}
