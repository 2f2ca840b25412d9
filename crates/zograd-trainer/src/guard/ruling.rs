use super::Event;
use zograd_select::SkipReason;

/// What becomes of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is made, with the learning rate times this factor.
    Apply(f64),
    /// It is not made.
    Skip(SkipReason),
}

/// What a judge says about a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ruling {
    /// What becomes of the update.
    pub verdict: Verdict,
    /// What was not as it should be.
    pub event: Option<Event>,
    /// Whether the run ends with this step.
    pub stops: bool,
}

impl Default for Ruling {
    /// Nothing is unusual: the update is made as it is.
    fn default() -> Self {
        Verdict::Apply(1.0).into()
    }
}

impl From<Verdict> for Ruling {
    /// Without an event, and the run goes on.
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            event: None,
            stops: false,
        }
    }
}
