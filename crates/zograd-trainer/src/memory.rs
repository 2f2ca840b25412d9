use std::path::Path;

/// The largest resident set this process has had so far, in bytes; `None` where the system does not say
/// (it is read from `/proc/self/status`, so anywhere but on Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = zograd_files::read_text(Path::new("/proc/self/status"), 1 << 16).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
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
    fn grows_with_the_memory_in_use() {
        let before = super::peak_memory_bytes().expect("Linux says");
        let ballast = std::hint::black_box(vec![1u8; 256 << 20]);
        let after = super::peak_memory_bytes().expect("Linux says");
        assert!(
            after >= 256 << 20 && after >= before,
            "{before} {after} {}",
            ballast.len()
        );
    }
}
