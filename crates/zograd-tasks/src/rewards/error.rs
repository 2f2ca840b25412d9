/// Why an answer has no reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RewardFailure {
    /// Whoever tells rewards has ended.
    Ended,
    /// Nothing was told in time.
    Late,
    /// What was told is no number, or not one for each answer.
    Unreadable,
    /// The number is NaN or infinite.
    NotFinite,
}

impl RewardFailure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ended, Self::Late, Self::Unreadable, Self::NotFinite];
}

/// Why answers have no rewards, and what exactly happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
#[non_exhaustive]
pub struct RewardError {
    /// Why.
    pub failure: RewardFailure,
    /// What happened, for people.
    pub words: String,
}

impl RewardError {
    /// Whoever tells rewards has ended.
    pub fn ended(words: impl Into<String>) -> Self {
        Self::new(RewardFailure::Ended, words)
    }

    /// Nothing was told in time.
    pub fn late(words: impl Into<String>) -> Self {
        Self::new(RewardFailure::Late, words)
    }

    /// What was told is no number, or not one for each answer.
    pub fn unreadable(words: impl Into<String>) -> Self {
        Self::new(RewardFailure::Unreadable, words)
    }

    /// The number is NaN or infinite.
    pub fn not_finite(words: impl Into<String>) -> Self {
        Self::new(RewardFailure::NotFinite, words)
    }

    fn new(failure: RewardFailure, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { failure, words }
    }
}

/// A rule that cannot be, or that cannot judge the answers to a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No regular expression.
    #[error("this is no regular expression: {reason}")]
    Pattern {
        /// What is wrong with it.
        reason: String,
    },
    /// A key of JSON without a type, or with one that there is not.
    #[error(
        "{entry:?} is no key with its type; write KEY:TYPE with commas between several, where the types are text, \
         number, whole, truth, list, object and any"
    )]
    Key {
        /// What was given.
        entry: String,
    },
    /// A length of 0.
    #[error("use at least 1 character")]
    NoLength,
    /// A rule compares with what is right, and nothing is.
    #[error("the row does not say what is right")]
    NoRightAnswer,
    /// A rule compares numbers.
    #[error("the right answer {answer:?} has no number")]
    NoNumber {
        /// The right answer.
        answer: String,
    },
    /// What a reward of one's own wants and the question lacks.
    #[error("{0}")]
    Other(String),
}
