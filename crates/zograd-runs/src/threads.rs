//! With how many threads something is done.

use crate::error::{Blame, Result};

/// Does `work` with so many CPU threads; with those that there are, if it is not said.
///
/// # Errors
/// Those of `work`; threads that the system does not give.
pub fn with_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
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
