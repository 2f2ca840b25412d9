//! The sizes of a model.

/// What of a model's sizes matters to those who give it tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the token table; token ids are below it.
    pub vocab_size: usize,
    /// Width of what flows between the layers.
    pub hidden_size: usize,
    /// The longest sequence, in tokens.
    pub positions: usize,
}

/// The sizes that all families have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Width of what flows between the layers.
    pub hidden: usize,
    pub layers: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_value_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// The longest sequence, in tokens.
    pub positions: usize,
}
