//! Hashes of files and of what is made of them.

use crate::error::{Blame, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// A SHA-256 of parts, none of which can pass for two or for a half.
pub struct Hash(Sha256);

impl Hash {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    /// Takes up a part, and how long it is.
    pub fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Half of its digits: plenty to tell that something was changed.
    pub fn short(self) -> String {
        let all = self.0.finalize();
        hex(&all[..16])
    }
}

/// The SHA-256 of a file, as `sha256sum` gives it.
///
/// # Errors
/// It cannot be read, or is no regular file.
pub fn file(path: &Path) -> std::io::Result<String> {
    let mut file = zograd_files::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&block[..n]),
        }
    }
}

/// Half of the digits of the SHA-256 of a value as JSON.
///
/// # Errors
/// JSON cannot hold it.
pub fn json(value: &impl Serialize) -> Result<String> {
    let mut hash = Hash::new();
    hash.part(&serde_json::to_vec(value).while_running()?);
    Ok(hash.short())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
