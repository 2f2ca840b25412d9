//! How many threads compute.

use zograd_runs::{Blame, Machine, Result, RunError};

/// Limits the threads of everything that computes, before anything does.
///
/// # Errors
/// No threads, or more than make sense.
pub fn set_threads(threads: Option<&toml::Value>) -> Result<()> {
    let Some(threads) = threads.and_then(toml::Value::as_integer) else {
        return Ok(());
    };
    let mut machine = Machine::default();
    machine.threads = usize::try_from(threads).ok();
    match machine.complete()?.threads {
        Some(n) => rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build_global()
            .while_running(),
        None => Err(RunError::input(format!(
            "`threads = {threads}`: use 1 to 1024"
        ))),
    }
}
