//! A standard output that was closed before the process began (`zograd eval >&-`).
//!
//! Rust opens `/dev/null` in its place before `main`, so that results would be lost without a word.

#[cfg(target_os = "linux")]
mod seen {
    use std::sync::atomic::{AtomicBool, Ordering};

    static CLOSED: AtomicBool = AtomicBool::new(false);

    extern "C" fn look() {
        // SAFETY: the call only asks whether the descriptor is open
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
        CLOSED.store(flags == -1, Ordering::Relaxed);
    }

    // SAFETY: the loader calls what stands in this section, functions of this type, before Rust's own beginning; `look`
    // needs nothing of it
    #[used]
    #[unsafe(link_section = ".init_array")]
    static AT_START: extern "C" fn() = look;

    pub fn is_closed() -> bool {
        CLOSED.load(Ordering::Relaxed)
    }
}

/// Refuses to write where nobody can read.
///
/// # Errors
/// The standard output was closed.
pub fn check() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    if seen::is_closed() {
        return Err(std::io::Error::other("it is closed"));
    }
    Ok(())
}
