//! What an exported log says of itself.

use serde::{Deserialize, Serialize};
use std::path::Path;
use zograd_files::MAX_SMALL_BYTES;

/// Name of the file that says what an exported log leads to.
pub(crate) const MANIFEST: &str = "export.json";

/// What an exported log leads from and to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of zograd that packed it.
    pub zograd: String,
    /// The base model as the run was given it.
    pub base: String,
    /// Content hash of the base's weights.
    pub base_weights: String,
    /// The step of the tuned weights: the last one in the log.
    pub step: u64,
    /// Content hash of the tuned weights.
    pub weights: String,
}

/// Whether replayed weights are those that the file beside the log promises; `None` if there is no such file, or it
/// speaks of another step.
pub(crate) fn as_promised(log: &Path, step: u64, weights: &str) -> Option<bool> {
    let text = zograd_files::read_text(&log.with_file_name(MANIFEST), MAX_SMALL_BYTES).ok()?;
    let manifest: Manifest = serde_json::from_str(&text).ok()?;
    (manifest.step == step).then(|| manifest.weights == weights)
}
