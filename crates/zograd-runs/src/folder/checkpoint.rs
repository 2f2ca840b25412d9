//! Checkpoints: the weights after some step, so that a resumed run need not walk all the way from the start.

use super::files::ANCHOR;
use crate::error::{Blame, Result, refuse};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;

/// Prefix of the folders that hold the weights after some step.
const CHECKPOINT: &str = "checkpoint-";

/// Where the weights after `step` steps are kept.
pub fn checkpoint_folder(run: &Path, step: u64) -> PathBuf {
    run.join(format!("{CHECKPOINT}{step}"))
}

/// All complete checkpoints of a run.
pub fn checkpoints(run: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let step = name.to_str()?.strip_prefix(CHECKPOINT)?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect()
}

/// Name of the file in a checkpoint that says which weights it holds.
const SEAL: &str = "weights.hash";

/// Writes into a checkpoint what [`check_seal`] compares: files of numbers have no checksums.
///
/// # Errors
/// A file cannot be read or written.
pub fn seal(checkpoint: &Path, weights: &str) -> Result<()> {
    let path = checkpoint.join(SEAL);
    let sealed = contents(checkpoint, weights)?;
    zograd_files::write(&path, sealed).on_file(&path)
}

/// Refuses a checkpoint whose numbers are not those that were written.
///
/// # Errors
/// Another hash, or none.
pub fn check_seal(checkpoint: &Path, weights: &str) -> Result<()> {
    let sealed = zograd_files::read_text(&checkpoint.join(SEAL), MAX_SMALL_BYTES);
    let found = contents(checkpoint, weights)?;
    if !sealed.is_ok_and(|sealed| sealed == found) {
        refuse!(
            "{}: its weights are not those of the run",
            checkpoint.display()
        );
    }
    Ok(())
}

/// The content hash of a checkpoint's weights, and that of the file with their f32 originals if there is one.
fn contents(checkpoint: &Path, weights: &str) -> Result<String> {
    let path = checkpoint.join(ANCHOR);
    if !zograd_files::exists(&path) {
        return Ok(weights.to_owned());
    }
    let hash = || {
        let mut file = zograd_files::open(&path)?;
        let mut hash = Sha256::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => return std::io::Result::Ok(hash.finalize()),
                n => hash.update(&block[..n]),
            }
        }
    };
    let hash = hash().about_file(&path)?;
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{weights}\n{ANCHOR} sha256:{hex}"))
}
