//! How much room there is on a disk.

use std::fmt;
use std::path::{Path, PathBuf};

/// How many bytes may still be written where this path is or would be; `None` where the system does not tell.
pub fn free_bytes(path: &Path) -> Option<u64> {
    free(&existing(path)?)
}

/// Whether two places, which need not exist, are on the same disk; `false` where the system does not tell.
pub fn is_same_disk(a: &Path, b: &Path) -> bool {
    let disk = |path| disk(&existing(path)?);
    disk(a).is_some_and(|a| disk(b) == Some(a))
}

/// A number of bytes for people: `25.7 GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
        let bytes = self.0 as f64;
        match units.iter().find(|(unit, _)| bytes >= *unit) {
            Some((unit, name)) => write!(f, "{:.1} {name}", bytes / unit),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// The path, or the folder that would hold it.
fn existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut places = path.ancestors();
    places.find(|place| place.exists()).map(Path::to_owned)
}

#[cfg(unix)]
fn free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    // systems that keep no count say that all is zero
    (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free(_path: &Path) -> Option<u64> {
    None
}

#[cfg(unix)]
fn disk(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(path.metadata().ok()?.dev())
}

#[cfg(not(unix))]
fn disk(_path: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_still_to_be_made_has_the_room_of_its_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("not/yet/there");
        assert!(free_bytes(&inside).is_some());
        assert!(is_same_disk(&inside, folder.path()));
        // of no size at all
        let proc = Path::new("/proc");
        if proc.is_dir() {
            assert_eq!(free_bytes(proc), None);
            assert!(!is_same_disk(proc, folder.path()));
        }
    }

    #[test]
    fn bytes_are_said_in_the_largest_unit() {
        let said = [0, 999, 1500, 25_700_000_000, 3_000_000_000_000];
        assert_eq!(
            said.map(|n| Bytes(n).to_string()),
            ["0 bytes", "999 bytes", "1.5 kB", "25.7 GB", "3.0 TB"]
        );
    }
}
