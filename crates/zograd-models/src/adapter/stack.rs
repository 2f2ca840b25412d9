//! Several adapters of one base in one forward pass.
//!
//! The tokens of a plan are run once for each adapter, as blocks of one batch: everything that belongs to the base
//! sees all blocks at once, an adapter sees its own. The products are larger, and so nearer to the machine's
//! rate, and weights are read once for all adapters. Not a number is computed otherwise than in passes of their own,
//! except for the order of the sums in a backend's matrix product, if that depends on the number of rows.

use burn::tensor::Tensor;

use super::lora::Lora;
use super::lora_stack::{LoraStack, blocks};
use super::projection::Projection;
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
                    let found = Stack::of(models).log_probs(plan)?;
                    let found: Vec<f32> = found.into_data().iter::<f32>().collect();
                    let each = found.chunks_exact(found.len() / models.len());
                    scores.extend(each.map(<[f32]>::to_vec));
                }
            }
        }
        Ok(scores)
    }
}

/// Several models that share a base, as one.
struct Stack<'m, B: ModelBackend> {
    models: &'m [Opt<B>],
    /// The base, with the factors of all LoRA adapters at its linear maps.
    base: Opt<B>,
}

impl<'m, B: ModelBackend> Stack<'m, B> {
    /// Of at least one model.
    fn of(models: &'m [Opt<B>]) -> Self {
        let mut base = models[0].clone();
        for (index, layer) in base.decoder.layers.iter_mut().enumerate() {
            for which in Projection::ALL {
                let layers = models.iter().map(|model| &model.decoder.layers[index]);
                let loras: Vec<&Lora<B>> = layers
                    .filter_map(|layer| layer.projection(which).lora.as_ref())
                    .collect();
                let projection = layer.projection_mut(which);
                projection.stack = LoraStack::of(&loras);
                projection.lora = None;
            }
        }
        Self { models, base }
    }

    /// The scores of the plan by all models, one after the other.
    fn log_probs(&self, plan: &Plan) -> Result<Tensor<B, 1>, ModelError> {
        let base = &self.base;
        base.check(plan)?;
        let blocks = plan.repeated(self.models.len());
        let heads = base.heads();
        let layout = AttentionLayout::new(&blocks.packing, heads);
        let layout_of_one = AttentionLayout::new(&plan.packing, heads);
        let read = Some(blocks.logit_tokens.as_slice());
        let hidden = base.run_with(&blocks.packing, read, |layer, projected| {
            match &base.decoder.layers[layer].self_attn.prefix {
                None => base.attend(layer, projected, &layout),
                Some(_) => self.attend_by_prefixes(layer, projected, &layout_of_one),
            }
        });
        Ok(base.scores_at(hidden, &blocks))
    }

    /// What the blocks of the tokens attend to in a layer, each by the prefix of its model.
    fn attend_by_prefixes(
        &self,
        layer: usize,
        projected: [Tensor<B, 2>; 3],
        layout: &AttentionLayout<B>,
    ) -> Tensor<B, 2> {
        let each = blocks(projected, self.models.len()).zip(self.models);
        let attended = each.map(|(block, model)| model.attend(layer, block, layout));
        Tensor::cat(attended.collect(), 0)
    }
}
