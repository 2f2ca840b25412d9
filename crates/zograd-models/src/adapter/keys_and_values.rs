//! What a prefix can begin as: keys and values of real tokens.

use burn::tensor::Tensor;

use crate::attention::AttentionLayout;
use crate::backend::ModelBackend;
use crate::error::ModelError;
use crate::opt::Opt;
use crate::packing::Packing;

impl<B: ModelBackend> Opt<B> {
    /// The keys and values that the sequence `ids` produces in each layer: `[tokens, hidden_size]` each, in the
    /// type of what flows between the layers.
    ///
    /// # Errors
    /// No ids, ids outside the vocabulary, or more of them than positions.
    pub fn keys_and_values(&self, ids: &[u32]) -> Result<Vec<[Tensor<B, 2>; 2]>, ModelError> {
        let packing = Packing::whole(&[ids.to_vec()]);
        self.check_packing(&packing)?;
        let layout = AttentionLayout::new(&packing, self.heads());
        let mut found = Vec::with_capacity(self.decoder.layers.len());
        self.run_with(&packing, None, |layer, [query, key, value]| {
            found.push([key.clone(), value.clone()]);
            self.attend(layer, [query, key, value], &layout)
        });
        Ok(found)
    }
}
