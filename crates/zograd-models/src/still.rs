//! What no probe moves.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// What a model makes of the tokens of a plan before its first part that moves, kept from one call of
/// [`LanguageModel::log_probs_at_each`] to the next: with the same plan, while the weights stand still.
///
/// [`LanguageModel::log_probs_at_each`]: crate::LanguageModel::log_probs_at_each
#[derive(Clone, Debug)]
pub struct Still<B: Backend> {
    pub(crate) kept: Option<Kept<B>>,
}

/// What the first layers give.
#[derive(Clone, Debug)]
pub(crate) struct Kept<B: Backend> {
    /// How many were run.
    pub layers: usize,
    /// Whether that is all of them.
    pub all: bool,
    /// `[tokens, hidden_size]`; after all layers `[read, hidden_size]`.
    pub hidden: Tensor<B, 2>,
}

impl<B: Backend> Still<B> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { kept: None }
    }

    /// Whether the tokens went through all layers for it, once for all probes, which then ran none.
    pub fn has_all_layers(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.all)
    }
}

impl<B: Backend> Default for Still<B> {
    fn default() -> Self {
        Self::new()
    }
}
