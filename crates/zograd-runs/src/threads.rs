//! With how many threads something is done.

use crate::error::{Blame, Result, RunError};
use std::error::Error;
use zograd_files::Bytes;

/// Does `work` with so many CPU threads; with those that there are, if it is not said.
///
/// # Errors
/// Those of `work`; threads that the system does not give.
pub fn with_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    start_threads(None)?;
    match threads {
        Some(threads) if threads != rayon::current_num_threads() => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.while_running()
                .about(format!("`threads = {threads}`"))?
                .install(work)
        }
        _ => work(),
    }
}

/// The most threads that make sense.
pub const MAX_THREADS: usize = 1024;

/// Starts the threads that everything computes with, unless they run already: so many, or as many as the system has
/// processors for this process, at most [`MAX_THREADS`]. Without it they start with the first piece of work, and where the
/// system gives none that is a panic; and variables of the environment say how many.
///
/// # Errors
/// Threads that the system does not give.
pub fn start_threads(threads: Option<usize>) -> Result<()> {
    if let Some(threads) = threads {
        check_addresses(threads)?;
    }
    let processors = || std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let builder = rayon::ThreadPoolBuilder::new();
    let count = threads.unwrap_or_else(processors);
    match builder.num_threads(count).build_global() {
        // the only error without a cause is that they run
        Err(error) if error.source().is_some() => Err(error).while_running().about(match threads {
            Some(threads) => format!("`threads = {threads}`: they cannot be started"),
            None => "the threads that compute cannot be started; try fewer, `threads = 1`".into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses threads whose stacks take more than half of the addresses that the process may have (`ulimit -v`): the last of them
/// would find no memory to begin with, and end the process.
#[cfg(unix)]
fn check_addresses(threads: usize) -> Result<()> {
    /// Of a thread of the standard library.
    const STACK: u64 = 2 << 20;
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    match limit {
        Some(limit) if (threads as u64).saturating_mul(STACK) > limit / 2 => {
            Err(RunError::running(format!(
                "`threads = {threads}`: they cannot be started: their stacks take {}, and this process may have {} in all \
                 (`ulimit -v`)",
                Bytes((threads as u64).saturating_mul(STACK)),
                Bytes(limit)
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_addresses(_threads: usize) -> Result<()> {
    Ok(())
}
