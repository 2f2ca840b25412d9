use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the mark of the process is of something before the run, and cannot be brought down.
static IS_OLD: AtomicBool = AtomicBool::new(false);

/// The largest resident set of this process since [`peak_memory_begins`], or else since it started, in bytes; `None` where the
/// system does not say (it is read from `/proc/self/status`, so anywhere but on Linux), or has but one mark for all runs of a
/// process and this is not the first.
pub fn peak_memory_bytes() -> Option<u64> {
    if IS_OLD.load(Ordering::Relaxed) {
        return None;
    }
    let status = zograd_files::read_text(Path::new("/proc/self/status"), 1 << 16).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// A run begins: from here on the peak is its own, and not that of what this process did before. The mark is the whole
/// process's, so that of two runs at once in one process both have the peak of the two.
pub fn peak_memory_begins() {
    static BEFORE: AtomicBool = AtomicBool::new(false);
    let is_first = !BEFORE.swap(true, Ordering::Relaxed);
    give_back_freed_memory();
    IS_OLD.store(!(reset_mark() || is_first), Ordering::Relaxed);
}

/// Has the system forget the largest resident set; false where it does not. 5 is the word for it (`man 5 proc`).
fn reset_mark() -> bool {
    let mark = Path::new("/proc/self/clear_refs");
    let written = zograd_files::reopen(mark).and_then(|mut file| file.write_all(b"5"));
    written.is_ok()
}

/// Gives the system what the allocator keeps of what was freed, which is no run's.
fn give_back_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it changes nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Asks the allocator of this process to keep memory that is freed, up to some hundred megabytes, for the next
/// forward pass: programs call it once, when they start.
///
/// A forward pass allocates and frees the same few buffers in every layer. By default glibc gives large ones back to
/// the system each time, and getting them again, page by page, takes a tenth of the pass. Nothing happens with
/// other C libraries.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest that glibc accepts, and more than one buffer of a pass.
        const FROM_SYSTEM_ABOVE: i32 = 32 << 20;
        const KEEP: i32 = 256 << 20;
        // SAFETY: both change settings of the allocator and nothing else; a refusal leaves them as they are.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, FROM_SYSTEM_ABOVE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP);
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn grows_with_the_memory_in_use_and_is_each_runs_own() {
        const BALLAST: u64 = 256 << 20;
        let before = super::peak_memory_bytes().expect("Linux says");
        let ballast = std::hint::black_box(vec![1u8; BALLAST as usize]);
        let after = super::peak_memory_bytes().expect("Linux says");
        assert!(
            after >= BALLAST && after >= before,
            "{before} {after} {}",
            ballast.len()
        );
        drop(ballast);
        for run in 0..2 {
            super::peak_memory_begins();
            // where the mark stays as it is, only the first run has it
            let own = super::peak_memory_bytes();
            let is_own = own.is_some_and(|own| own < after - BALLAST / 2);
            assert!(is_own || !super::reset_mark() && own.is_some() == (run == 0));
        }
    }
}
