use serde::{Deserialize, Serialize};

/// Where weight decay goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DecayToward {
    /// Zero.
    #[default]
    Zero,
    /// The weights before the first step, against forgetting.
    Start,
}

impl DecayToward {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
