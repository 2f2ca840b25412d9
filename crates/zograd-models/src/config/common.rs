//! What a family reads of the sizes that all have.

/// What families call by different names or have different defaults for.
pub(crate) struct Common {
    pub heads: usize,
    pub key_value_heads: usize,
    /// `None`: hidden size by heads.
    pub head_dim: Option<usize>,
    pub tied: bool,
    pub init_std: Option<f64>,
}
