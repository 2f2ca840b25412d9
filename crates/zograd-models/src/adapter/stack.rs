//! Several adapters of one base in one forward pass.
//!
//! The tokens of a plan are run once for each adapter, as blocks of one batch: everything that belongs to the base
//! sees all blocks at once, an adapter sees its own. The products are larger, and so nearer to the machine's
//! rate, and weights are read once for all adapters. Not a number is computed otherwise than in passes of their own,
//! except for the order of the sums in a backend's matrix product, if that depends on the number of rows.

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::config::Projection;
use super::prefix::Prefix;
use crate::attention::AttentionLayout;
use crate::backend::ModelBackend;
use crate::error::ModelError;
use crate::opt::Opt;
use crate::plan::Plan;

/// Tokens of one pass, all blocks together, beyond which more blocks gain nothing: the products are at their rate,
/// and what is between the layers takes memory.
const TOKENS: usize = 1024;

impl<B: ModelBackend> Opt<B> {
    /// [`Opt::log_probs`] by each of several models that differ **in the numbers of their adapters alone**: the base of
    /// the first serves all of them. Small plans go through the layers for several models at a time, large ones for one
    /// after the other; the results are the same, up to the rounding of a matrix product whose order of sums depends on
    /// the number of its rows.
    ///
    /// # Errors
    /// As [`Opt::log_probs`].
    ///
    /// # Panics
    /// The adapters are of different kinds or shapes.
    pub fn log_probs_of_each(models: &[Self], plan: &Plan) -> Result<Vec<Vec<f32>>, ModelError> {
        let kind = models.first().and_then(Self::adapter);
        assert!(
            models.iter().all(|model| model.adapter() == kind),
            "models that are scored together have adapters of one kind and shape"
        );
        let at_once = (TOKENS / plan.stats().tokens.max(1)).max(1);
        let mut scores = Vec::with_capacity(models.len());
        for models in models.chunks(at_once) {
            match models {
                [model] => scores.push(model.log_probs(plan)?),
                models => {
                    let found = stacked(models).log_probs_of_blocks(plan, models.len())?;
                    let found: Vec<f32> = found.into_data().iter::<f32>().collect();
                    let each = found.chunks_exact(found.len() / models.len());
                    scores.extend(each.map(<[f32]>::to_vec));
                }
            }
        }
        Ok(scores)
    }

    /// The scores of a plan by the adapters of a stack of `count`, one after the other.
    fn log_probs_of_blocks(&self, plan: &Plan, count: usize) -> Result<Tensor<B, 1>, ModelError> {
        self.check(plan)?;
        let blocks = plan.repeated(count);
        let heads = self.config().num_attention_heads;
        let layout = AttentionLayout::new(&blocks.packing, heads);
        let layout_of_one = AttentionLayout::new(&plan.packing, heads);
        let read = Some(blocks.logit_tokens.as_slice());
        let hidden = self.run_with(&blocks.packing, read, |layer, projected| {
            match &self.decoder.layers[layer].self_attn.prefix {
                None => self.attend(layer, projected, &layout),
                Some(prefix) => prefix.attend_blocks(projected, count, &layout_of_one),
            }
        });
        Ok(self.log_probs_at(hidden, &blocks.targets))
    }
}

impl<B: ModelBackend> Prefix<B> {
    /// What the blocks of the tokens attend to, each with its prefix of a stack of `count`.
    fn attend_blocks(
        &self,
        [query, key, value]: [Tensor<B, 2>; 3],
        count: usize,
        layout: &AttentionLayout<B>,
    ) -> Tensor<B, 2> {
        let tensors = [query, key, value, self.keys.val(), self.values.val()];
        let attended = blocks(tensors, count).map(|[query, key, value, keys, values]| {
            B::packed_attention_after([keys, values], query, key, value, layout)
        });
        Tensor::cat(attended.collect(), 0)
    }
}

/// Cuts each tensor into `count` blocks of rows, and gives those that belong together.
pub(super) fn blocks<B: Backend, const N: usize>(
    tensors: [Tensor<B, 2>; N],
    count: usize,
) -> impl Iterator<Item = [Tensor<B, 2>; N]> {
    (0..count).map(move |block| {
        tensors.each_ref().map(|tensor| {
            let rows = tensor.dims()[0] / count;
            tensor.clone().narrow(0, block * rows, rows)
        })
    })
}

/// The base of the first model with the adapters of all, one below the other.
fn stacked<B: ModelBackend>(models: &[Opt<B>]) -> Opt<B> {
    let mut stack = models[0].clone();
    for (index, layer) in stack.decoder.layers.iter_mut().enumerate() {
        let layers = || models.iter().map(|model| &model.decoder.layers[index]);
        if let Some(prefix) = &mut layer.self_attn.prefix {
            let prefixes = || layers().filter_map(|layer| layer.self_attn.prefix.as_ref());
            prefix.keys = below(prefixes().map(|prefix| &prefix.keys));
            prefix.values = below(prefixes().map(|prefix| &prefix.values));
        }
        for which in Projection::ALL {
            if let Some(lora) = &mut layer.projection_mut(which).lora {
                let loras = || layers().filter_map(|layer| layer.projection(which).lora.as_ref());
                lora.a = below(loras().map(|lora| &lora.a));
                lora.b = below(loras().map(|lora| &lora.b));
            }
        }
    }
    stack
}

fn below<'a, B: ModelBackend>(
    parameters: impl Iterator<Item = &'a Param<Tensor<B, 2>>>,
) -> Param<Tensor<B, 2>> {
    let stack = Tensor::cat(parameters.map(Param::val).collect(), 0);
    Param::initialized(ParamId::new(), stack)
}
