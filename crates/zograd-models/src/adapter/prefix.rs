//! Keys and values that every token of every sequence sees.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::attention::AttentionLayout;
use crate::backend::ModelBackend;
use crate::error::ModelError;
use crate::opt::Opt;
use crate::packing::Packing;

/// The prefix of one layer.
#[derive(Module, Debug)]
pub struct Prefix<B: Backend> {
    /// `[tokens, hidden_size]`, the heads side by side, as the key projection gives them.
    pub keys: Param<Tensor<B, 2>>,
    /// `[tokens, hidden_size]`, as the value projection gives them.
    pub values: Param<Tensor<B, 2>>,
}

impl<B: ModelBackend> Opt<B> {
    /// The keys and values that the sequence `ids` produces in each layer: `[tokens, hidden_size]` each.
    ///
    /// # Errors
    /// No ids, ids outside the vocabulary, or more of them than positions.
    pub fn keys_and_values(&self, ids: &[u32]) -> Result<Vec<[Tensor<B, 2>; 2]>, ModelError> {
        let packing = Packing::whole(&[ids.to_vec()]);
        self.check_packing(&packing)?;
        let layout = AttentionLayout::new(&packing, self.config().num_attention_heads);
        let mut found = Vec::with_capacity(self.decoder.layers.len());
        self.run_with(&packing, None, |layer, [query, key, value]| {
            found.push([key.clone(), value.clone()]);
            self.attend(layer, [query, key, value], &layout)
        });
        Ok(found)
    }
}
