use serde::{Deserialize, Serialize};

/// What is done about an [`Event`](super::Event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Policy {
    /// It is counted, and the update made.
    GoOn,
    /// No update is made.
    Skip,
    /// The update is made shorter: an exploding gradient becomes 10 times the usual one; a step with an
    /// exploded loss gets a tenth of the learning rate.
    Shrink,
    /// The run ends after this step, without its update (quiet events: after ten in a row).
    Stop,
}

impl Policy {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::GoOn, Self::Skip, Self::Shrink, Self::Stop];

    /// The name, as in files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::GoOn => "go-on",
            Self::Skip => "skip",
            Self::Shrink => "shrink",
            Self::Stop => "stop",
        }
    }
}
