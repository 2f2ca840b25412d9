use crate::SettingError;
use std::fmt::Display;
use thiserror::Error;

/// What is wrong with a strategy, its settings or its use. Settings are named as they stand in config files.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum StrategyError {
    /// A setting has a value that it cannot have.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// No method has this name.
    #[error("`method = {method}`: {hint}")]
    UnknownMethod {
        /// The name.
        method: String,
        /// What may have been meant, and what is known.
        hint: String,
    },
    /// The method has no such setting.
    #[error("`{setting}`: the method {method} has no such setting; {hint}")]
    UnknownSetting {
        /// The setting's key.
        setting: String,
        /// The method.
        method: String,
        /// What may have been meant, or who has it.
        hint: String,
    },
    /// The type of a method's settings does not read what it wrote ([`Configured::Settings`](crate::Configured)).
    #[error("the settings of the method {method} cannot be read: {reason}")]
    Unreadable {
        /// The method.
        method: String,
        /// What is wrong.
        reason: String,
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
}

impl StrategyError {
    /// A setting with a value that it cannot have, and what it should be.
    pub fn setting(name: &'static str, value: impl Display, fix: impl Into<String>) -> Self {
        SettingError::new(name, value, fix).into()
    }
}
