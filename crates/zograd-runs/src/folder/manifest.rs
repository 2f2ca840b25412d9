//! What an exported log says of itself.

use super::files::METRICS;
use crate::error::{Result, refuse};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file that says what an exported log leads to.
pub(crate) const MANIFEST: &str = "export.json";

/// What an exported log leads from and to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// By how much the logit of which token is larger with the tuned weights than the log makes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logit_shift: Vec<(u32, f64)>,
    /// Content hash of the tuned weights.
    pub weights: String,
}

/// Refuses what is an export where a run is needed, with what to do instead.
///
/// # Errors
/// It is one.
pub(crate) fn refuse_export(folder: &Path, instead: &str) -> Result<()> {
    if folder.join(MANIFEST).exists() && !folder.join(METRICS).exists() {
        refuse!("it is an export, the log of a run without what it measured; {instead}");
    }
    Ok(())
}
