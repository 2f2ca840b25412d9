use thiserror::Error;

/// What is wrong with a strategy or its use.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum StrategyError {
    /// A parameter is out of its range.
    #[error("{name} {value}: {fix}")]
    Parameter {
        /// The parameter, as its command-line flag.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        fix: String,
    },
    /// The strategy asked and asked, or asked for nothing.
    #[error(
        "the strategy gave no update after {evaluations} evaluations; does its `next` ever return one?"
    )]
    Unfinished {
        /// How many it was told.
        evaluations: usize,
    },
    /// Directions and losses that do not go together.
    #[error("{asked} directions were asked for, and {told} losses were told")]
    Losses {
        /// Directions.
        asked: usize,
        /// Losses.
        told: usize,
    },
    /// A saved state belongs to another strategy, or is damaged.
    #[error("the saved state of the strategy cannot be read: {0}")]
    State(String),
}

impl StrategyError {
    pub(crate) fn parameter(
        name: &'static str,
        value: impl ToString,
        fix: impl Into<String>,
    ) -> Self {
        Self::Parameter {
            name,
            value: value.to_string(),
            fix: fix.into(),
        }
    }
}
