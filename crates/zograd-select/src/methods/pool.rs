//! What the methods with a pool of candidates share.

use crate::Setting;
use serde::{Deserialize, Serialize};

/// Candidates of a pool.
pub(super) const POOL: Setting = Setting::count("pool", "M", "Candidates M of a pool");

/// [`POOL`] where it is not given.
pub(super) const DEFAULT_POOL: usize = 4;

/// The settings of a method that has a pool and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolSettings {
    /// Candidates M.
    pub pool: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { pool: DEFAULT_POOL }
    }
}
