//! Checkpoints: the weights after some step, so that a resumed run need not walk all the way from the start.

use super::card::CARD;
use super::hash::{self, Hash};
use crate::error::{Blame, Result, refuse};
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

/// Name of the file in a checkpoint that says what it holds.
const SEAL: &str = "weights.hash";

/// Writes into a checkpoint what [`check_seal`] compares: files of numbers have no checksums, and the name of a folder is
/// easily changed.
///
/// # Errors
/// A file cannot be read or written.
pub fn seal(checkpoint: &Path, step: u64, weights: &str) -> Result<()> {
    let path = checkpoint.join(SEAL);
    zograd_files::write(&path, sealed(checkpoint, step, weights)?).on_file(&path)
}

/// Refuses a checkpoint that does not hold what was written after this step: other numbers, another configuration.
///
/// # Errors
/// Another hash, or none.
pub fn check_seal(checkpoint: &Path, step: u64, weights: &str) -> Result<()> {
    let found = zograd_files::read_text(&checkpoint.join(SEAL), MAX_SMALL_BYTES);
    let expected = sealed(checkpoint, step, weights)?;
    if !found.is_ok_and(|found| found == expected) {
        refuse!(
            "{}: its weights are not those of the run after this step",
            checkpoint.display()
        );
    }
    Ok(())
}

fn sealed(checkpoint: &Path, step: u64, weights: &str) -> Result<String> {
    Ok(format!("step {step}\n{}", contents(checkpoint, weights)?))
}

/// A hash of a folder with weights that have this content hash, and of the files beside them.
///
/// # Errors
/// A file cannot be read.
pub fn folder_hash(folder: &Path, weights: &str) -> Result<String> {
    let mut hash = Hash::new();
    hash.part(contents(folder, weights)?.as_bytes());
    Ok(hash.short())
}

/// The content hash of a folder's weights, and the hashes of the files beside them: one says what the numbers are, the
/// others what they mean.
fn contents(folder: &Path, weights: &str) -> Result<String> {
    let entries = std::fs::read_dir(folder).about_file(folder)?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.about_file(folder)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.retain(|name| {
        name != SEAL
            && name != CARD
            && !name.ends_with(".safetensors")
            && !name.ends_with(".partial")
    });
    names.sort();
    let mut contents = weights.to_owned();
    for name in names {
        let path = folder.join(&name);
        let hash = hash::file(&path).about_file(&path)?;
        contents += &format!("\n{name} sha256:{hash}");
    }
    Ok(contents)
}
