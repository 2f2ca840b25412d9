//! What git-lfs leaves in the place of a large file that was not fetched.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::error::ReadError;

/// What such a file begins with.
const BEGIN: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// Whether these bytes are a pointer of git-lfs, and not the file that they stand for.
///
/// ```
/// use zograd_weights::is_lfs_pointer;
///
/// assert!(is_lfs_pointer(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"));
/// assert!(!is_lfs_pointer(b"{}"));
/// ```
pub fn is_lfs_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGIN)
}

/// Refuses a file that is such a pointer, and leaves another one at its begin.
pub(crate) fn check(file: &mut File, path: &Path) -> Result<(), ReadError> {
    let read = ReadError::read(path);
    let mut begin = Vec::new();
    let mut first = (&mut *file).take(BEGIN.len() as u64);
    first.read_to_end(&mut begin).map_err(&read)?;
    if is_lfs_pointer(&begin) {
        return Err(ReadError::Pointer {
            file: path.to_owned(),
        });
    }
    file.rewind().map_err(read)
}
