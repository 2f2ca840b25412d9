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
use crate::decoder::{Decoder, DecoderLayer, Projected};
use crate::error::ModelError;
use crate::forward::{check, log_probs_at, log_probs_tensor};
use crate::plan::Plan;
use crate::run::{Layouts, attend, run_with};

/// Tokens of one pass, all blocks together, beyond which more blocks gain nothing: the products are at their rate,
/// and what is between the layers takes memory.
const TOKENS: usize = 1024;

/// How many models go through the layers together with this plan.
pub(crate) fn scored_together(plan: &Plan) -> usize {
    (TOKENS / plan.stats().tokens.max(1)).max(1)
}

/// See [`Model::log_probs_of_each`](crate::Model::log_probs_of_each).
///
/// # Panics
/// The adapters are of different kinds or shapes.
pub(crate) fn log_probs_of_each<D: Decoder>(
    models: &[&D],
    plan: &Plan,
) -> Result<Vec<Vec<f32>>, ModelError> {
    check_alike(models);
    let at_once = scored_together(plan);
    let mut scores = Vec::with_capacity(models.len());
    for models in models.chunks(at_once) {
        let found = match models {
            [model] => log_probs_tensor(*model, plan)?,
            models => Stack::of(models).log_probs(plan)?,
        };
        let found: Vec<f32> = found.into_data().iter::<f32>().collect();
        let each = found.chunks_exact((found.len() / models.len()).max(1));
        scores.extend(each.map(<[f32]>::to_vec));
    }
    Ok(scores)
}

/// # Panics
/// The adapters are of different kinds or shapes.
pub(crate) fn check_alike<D: Decoder>(models: &[&D]) {
    let kind = models.first().and_then(|model| model.adapter());
    assert!(
        models.iter().all(|model| model.adapter() == kind),
        "models that run together have adapters of one kind and shape"
    );
}

/// Several models that share a base, as one.
pub(crate) struct Stack<'m, D: Decoder> {
    models: &'m [&'m D],
    /// The base, with the factors of all LoRA adapters at its linear maps.
    base: D,
}

impl<'m, D: Decoder> Stack<'m, D> {
    /// Of at least one model.
    pub(crate) fn of(models: &'m [&'m D]) -> Self {
        let mut base = models[0].clone();
        for (index, layer) in base.layers_mut().iter_mut().enumerate() {
            for which in Projection::ALL {
                let Some(projection) = layer.projection_mut(which) else {
                    continue;
                };
                let layers = models.iter().map(|model| &model.layers()[index]);
                let loras: Vec<&Lora<D::Backend>> = layers
                    .filter_map(|layer| layer.projection(which)?.lora.as_ref())
                    .collect();
                projection.stack = LoraStack::of(&loras);
                projection.lora = None;
            }
        }
        Self { models, base }
    }

    /// The base, whose linear maps add to each block of the tokens what its model's LoRA adapter does.
    pub(crate) fn base(&self) -> &D {
        &self.base
    }

    /// From now on the blocks have so many tokens, which may be none.
    pub(crate) fn set_sizes(&mut self, sizes: &[usize]) {
        for layer in self.base.layers_mut() {
            for which in Projection::ALL {
                if let Some(projection) = layer.projection_mut(which)
                    && let Some(stack) = &mut projection.stack
                {
                    stack.set_sizes(sizes);
                }
            }
        }
    }

    /// The scores of the plan by all models, one after the other.
    fn log_probs(&self, plan: &Plan) -> Result<Tensor<D::Backend, 1>, ModelError> {
        let base = &self.base;
        check(base, plan)?;
        let blocks = plan.repeated(self.models.len());
        let layouts = Layouts::new(base, &blocks.packing);
        let layouts_of_one = Layouts::new(base, &plan.packing);
        let read = Some(blocks.logit_tokens.as_slice());
        let hidden = run_with(base, &blocks.packing, read, |index, projected| {
            let layer = &base.layers()[index];
            match layer.prefix() {
                None => attend(layer, projected, layouts.of(index)),
                Some(_) => self.attend_by_prefixes(index, projected, &layouts_of_one),
            }
        })?;
        Ok(log_probs_at(base, hidden, &blocks.targets))
    }

    /// What the blocks of the tokens attend to in a layer, each by the prefix of its model.
    fn attend_by_prefixes(
        &self,
        index: usize,
        projected: Projected<D::Backend>,
        layouts: &Layouts<D::Backend>,
    ) -> Tensor<D::Backend, 2> {
        let each = blocks(projected, self.models.len()).zip(self.models);
        let attended =
            each.map(|(block, model)| attend(&model.layers()[index], block, layouts.of(index)));
        Tensor::cat(attended.collect(), 0)
    }
}
