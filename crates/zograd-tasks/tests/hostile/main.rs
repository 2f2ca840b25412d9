//! Data sets that are not as they were written.

mod csv_rows;
mod json_lines;
mod parquet_rows;
mod paths;

use std::path::Path;
use zograd_hostile::{Counting, Seen, Trial};
use zograd_tasks::{ChatTask, Dataset, Split, Task, tasks};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const fn trial(reader: &'static str, cases: u32) -> Trial {
    Trial { reader, cases }
}

/// The built-in tasks and chats.
fn all() -> impl Iterator<Item = &'static dyn Task> {
    tasks::all().iter().copied().chain([&ChatTask as &dyn Task])
}

/// Reads all rows of the train split in `folder` and makes a sample of each for every task. Errors must name
/// the folder.
fn read(folder: &Path) -> Seen {
    let place = folder.to_str().expect("UTF-8");
    let checked = |text: String| {
        assert!(text.contains(place), "{text}");
        text
    };
    let data = Dataset::open(folder).map_err(|error| checked(error.to_string()))?;
    let rows = data
        .range(Split::Train, 0..1000)
        .map_err(|error| checked(error.to_string()))?;
    let mut refused = None;
    for row in &rows {
        for task in all() {
            if let Err(error) = task.sample(row) {
                refused = Some(checked(error.to_string()));
            }
        }
    }
    let fits_a_task = rows
        .iter()
        .all(|row| all().any(|task| task.sample(row).is_ok()));
    match refused.filter(|_| !fits_a_task) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
