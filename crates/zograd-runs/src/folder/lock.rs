//! One process at a time in a folder.

use crate::error::{Blame, Result, refuse};
use std::fs::{File, TryLockError};
use std::path::Path;

/// Name of the file that is locked. It is empty, and stays: a lock on a file that others may remove holds nothing.
pub(crate) const LOCK: &str = "run.lock";

/// Holds a folder for this process. The system ends the lock with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder, which must exist.
    ///
    /// # Errors
    /// Another process has it, the lock is a link or no regular file, or the folder cannot be written.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let file = zograd_files::open_or_create(&path).about_file(&path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => refuse!(
                "{}: another process is at work in this folder; wait for its end, or stop it",
                folder.display()
            ),
            // there are file systems without locks
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { _file: file }),
        }
    }
}
