/// The largest resident set this process has had so far, in bytes; `None` where the system does not say
/// (it is read from `/proc/self/status`, so anywhere but on Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
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
