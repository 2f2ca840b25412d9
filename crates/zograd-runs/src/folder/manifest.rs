//! What an exported log says of itself.

use serde::{Deserialize, Serialize};

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
