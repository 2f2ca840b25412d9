//! With how many threads something is done.

use crate::error::{Blame, Result, RunError};
use std::error::Error;
#[cfg(unix)]
use std::path::Path;
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
    let processors =
        || std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let count = threads.unwrap_or_else(processors);
    let whose = || match threads {
        Some(threads) => format!("`threads = {threads}`: they cannot be started"),
        None => "the threads that compute cannot be started; try fewer, `threads = 1`".into(),
    };
    check_addresses(count).map_err(|error| error.within(whose()))?;
    let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
    match builder.build_global() {
        // the only error without a cause is that they run
        Err(error) if error.source().is_some() => Err(error).while_running().about(whose()),
        _ => Ok(()),
    }
}

/// Refuses threads that take more addresses than the process may have (`ulimit -v`): the last of them would find no memory
/// to begin with, and end the process. Their stacks may take half.
#[cfg(unix)]
fn check_addresses(threads: usize) -> Result<()> {
    /// Of a thread of the standard library.
    const STACK: u64 = 2 << 20;
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let stacks = (threads as u64).saturating_mul(STACK);
    // the one that started them multiplies as well
    let packed = packed_bytes().saturating_mul(threads as u64 + 1);
    match limit {
        Some(limit) if stacks > limit / 2 || stacks.saturating_add(packed) > limit => {
            Err(RunError::running(format!(
                "they take {} of addresses, and this process may have {} in all (`ulimit -v`)",
                Bytes(stacks.saturating_add(packed)),
                Bytes(limit)
            )))
        }
        _ => Ok(()),
    }
}

/// What a thread asks for when it first multiplies matrices, to pack them: faer's kernels for x86 take twice the size of the
/// last cache, used or not.
#[cfg(unix)]
fn packed_bytes() -> u64 {
    let size = match cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        true => {
            let file = Path::new("/sys/devices/system/cpu/cpu0/cache/index3/size");
            zograd_files::read_text(file, zograd_files::MAX_SMALL_BYTES).unwrap_or_default()
        }
        false => String::new(),
    };
    let kibibytes = size.trim().strip_suffix('K');
    let kibibytes = kibibytes.and_then(|digits| digits.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(2 << 10)
}

#[cfg(not(unix))]
fn check_addresses(_threads: usize) -> Result<()> {
    Ok(())
}
