//! What can be wrong with the tokens handed to a model.

/// Why a forward pass was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing to run.
    #[error("there are no tokens to run; give at least one non-empty sequence")]
    NoTokens,
    /// A sequence without tokens, or a padded row that is nothing but padding.
    #[error("sequence {0} has no tokens")]
    EmptySequence(usize),
    /// A token id without a row in the token table.
    #[error(
        "token id {id} is outside the vocabulary of {vocab_size}; the tokenizer belongs to \
         another model"
    )]
    IdOutOfRange {
        /// The id.
        id: u32,
        /// `vocab_size` of the model.
        vocab_size: usize,
    },
    /// A sequence longer than the position table.
    #[error("a sequence of {length} tokens is longer than the {limit} positions of the model")]
    TooLong {
        /// Tokens of the sequence that have to be run.
        length: usize,
        /// `max_position_embeddings` of the model.
        limit: usize,
    },
    /// A padded batch whose rows have different lengths, or a mask of another shape.
    #[error("row {row} of the {what} has {found} entries, expected {expected}")]
    Ragged {
        /// Index of the row.
        row: usize,
        /// `batch` or `attention mask`.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length of row 0 of the batch.
        expected: usize,
    },
    /// A setting of [`Generation`](crate::Generation) that is out of its range.
    #[error("`{name} = {value}`: {fix}")]
    Setting {
        /// The setting: `beams`, `temperature`, `top-k` or `top-p`.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        fix: &'static str,
    },
    /// The model cannot be looked at elsewhere than where its weights are.
    #[error("this model takes no probes; move its weights there")]
    NoProbes,
    /// Whoever asked for the pass wants it no more.
    #[error("the pass was given up, as asked")]
    Interrupted,
    /// What a model of another crate refuses, in its own words.
    #[error("{0}")]
    Other(String),
}
