//! The tail: the gradient along the positions where answers are read, with the prompt's keys and values held fixed.
//!
//! A forward pass keeps the tokens that are read ([`Plan::logit_tokens`]) as each layer is given them, and the keys and values
//! of all tokens; then the walk back goes through one layer after the other with these few tokens alone. What the prompt's
//! own positions would add to the gradient is left out. A layer is moved as soon as its gradient is known, and nothing of
//! the weights' size is kept: besides the inference a step needs the gradient of one layer, or of a block of a table.

mod head;
mod layout;
mod rule;
mod table;
mod walk;

use burn::tensor::Tensor;
use burn_autodiff::Autodiff;

use crate::backend::ModelBackend;
use crate::decoder::{Decoder, device};
use crate::error::ModelError;
use crate::forward::{check, scores_at};
use crate::interrupt::go_on;
use crate::model::Model;
use crate::plan::Plan;
use crate::run::{Layouts, attend, embedded, rows};
pub use rule::{GradientSize, Stride, TailRule};
use walk::Reach;

/// What a forward pass keeps for the walk back along the tail: of the plan and the weights that it was made with.
#[derive(Debug)]
pub struct Tail<B: ModelBackend> {
    plan: Plan,
    scores: Vec<f32>,
    reach: Reach,
    /// The tokens that are read, as each layer within reach is given them, `[read, hidden]`, first layer first.
    inputs: Vec<Tensor<B, 2>>,
    /// The keys and values of all packed tokens there, `[tokens, key and value heads * width]`.
    keys_and_values: Vec<[Tensor<B, 2>; 2]>,
    /// What the last layer makes of the tokens that are read, `[read, hidden]`.
    hidden: Tensor<B, 2>,
}

impl<B: ModelBackend> Tail<B> {
    /// The log-probabilities of the plan's scored tokens, as [`Model::log_probs`] gives them.
    pub fn log_probs(&self) -> &[f32] {
        &self.scores
    }

    /// Numbers that are kept: keys and values of all tokens, and the read tokens before each layer.
    pub fn kept(&self) -> usize {
        let size = |tensor: &Tensor<B, 2>| tensor.shape().num_elements();
        let pairs = self.keys_and_values.iter().flatten();
        pairs.chain(&self.inputs).map(size).sum::<usize>() + size(&self.hidden)
    }
}

/// A model whose moving parameters are those that require a gradient.
impl<B: ModelBackend> Model<Autodiff<B>> {
    /// Scores the plan, and keeps what [`Model::walked_back`] needs.
    ///
    /// # Errors
    /// As [`Model::log_probs`].
    pub fn tail(&self, plan: &Plan) -> Result<Tail<B>, ModelError> {
        use burn::module::AutodiffModule;
        let reach = match self {
            Self::Opt(model) => Reach::of(model),
            Self::Llama(model) => Reach::of(model),
        };
        match self.valid() {
            Model::Opt(model) => forward(&model, plan, reach),
            Model::Llama(model) => forward(&model, plan, reach),
        }
    }

    /// The model after every moving parameter has followed its gradient, as `rule` says: the gradient of
    /// `sum_i slope_i score_i` over the plan's scores, with the keys and values of all tokens that are not read held
    /// fixed. `tail` must be of this model.
    ///
    /// # Panics
    /// There are not as many slopes as scores.
    #[must_use]
    pub fn walked_back(self, tail: Tail<B>, slope: &[f32], rule: &mut impl TailRule) -> Self {
        match self {
            Self::Opt(model) => Self::Opt(walk::back(model, tail, slope, rule)),
            Self::Llama(model) => Self::Llama(walk::back(model, tail, slope, rule)),
        }
    }
}

/// See [`Model::tail`].
fn forward<D: Decoder>(
    model: &D,
    plan: &Plan,
    reach: Reach,
) -> Result<Tail<D::Backend>, ModelError> {
    check(model, plan)?;
    let device = device(model);
    let packing = &plan.packing;
    let layouts = Layouts::new(model, packing);
    let places = model.places(&packing.positions, &device);
    let read = rows::<D::Backend>(&plan.logit_tokens, &device);
    let (mut inputs, mut keys_and_values) = (Vec::new(), Vec::new());
    let mut x = embedded(model, packing);
    let layers = model.layers();
    for (index, layer) in layers.iter().enumerate() {
        go_on()?;
        let keeps = index >= reach.layer;
        if keeps {
            inputs.push(x.clone().select(0, read.clone()));
        }
        let last = (index + 1 == layers.len()).then_some(&read);
        x = model.run_layer((index, layer), x, &places, last, |[query, key, value]| {
            if keeps {
                keys_and_values.push([key.clone(), value.clone()]);
            }
            attend(layer, [query, key, value], layouts.of(index))
        });
    }
    let scores = scores_at(model, x.clone(), plan).into_data();
    Ok(Tail {
        plan: plan.clone(),
        scores: scores.iter::<f32>().collect(),
        reach,
        inputs,
        keys_and_values,
        hidden: x,
    })
}

#[cfg(all(test, feature = "ndarray"))]
mod tests;
