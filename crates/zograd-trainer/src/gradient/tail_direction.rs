//! The gradient of the tail as a direction: a candidate beside noise.

use super::differentiable::differentiable;
use super::tail::Seen;
use crate::{Informant, Informed, Objective, TrainError};
use burn::module::{AutodiffModule, Module, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use zograd_models::{GradientSize, Model, ModelBackend, Stride, TailRule};
use zograd_perturb::Selection;
use zograd_tasks::Prompt;

/// Down the gradient of the tail ([`zograd_models::Tail`]) of the batch of a step, which is `g`:
///
/// ```text
/// d = -scale g / sqrt(mean(g^2))
/// ```
///
/// the mean over each tensor, and over the row with the largest gradient of a table, as in
/// [`TailStep::Normalised`](crate::TailStep::Normalised). With a scale of 1 every tensor of it has the root of the mean square
/// that noise has.
pub struct TailDirection<'a> {
    objective: &'a dyn Objective,
    selection: &'a Selection,
    scale: f64,
}

impl<'a> TailDirection<'a> {
    /// Of the gradient of `objective` by the parameters that `selection` includes.
    pub fn new(objective: &'a dyn Objective, selection: &'a Selection, scale: f64) -> Self {
        Self {
            objective,
            selection,
            scale,
        }
    }
}

impl<B: ModelBackend> Informant<Model<B>> for TailDirection<'_> {
    fn direction(
        &self,
        model: &Model<B>,
        batch: &[&Prompt],
        stop: Option<&AtomicBool>,
    ) -> Result<Informed<Model<B>>, TrainError> {
        let model = differentiable::<B, NoCheckpointing>(model.clone(), self.selection);
        let seen = Seen::by(&model, self.objective, batch, stop)?;
        let mut downhill = Downhill {
            scale: self.scale,
            found: HashSet::new(),
        };
        let walked = match seen.tail {
            _ if !seen.loss.is_finite() => None,
            Some(tail) => Some(model.walked_back(tail, &seen.slope, &mut downhill)),
            None => Some(model),
        };
        Ok(Informed {
            direction: walked.map(|walked| walked.map(&mut Rest(&downhill.found)).valid()),
            tokens: seen.tokens,
        })
    }
}

/// Makes every parameter the direction in which it is to go: nothing is kept of the weight.
struct Downhill {
    scale: f64,
    /// Parameters that have a gradient.
    found: HashSet<ParamId>,
}

impl TailRule for Downhill {
    fn stride(&mut self, id: ParamId, size: GradientSize, _decays: bool) -> Stride {
        self.found.insert(id);
        let has_direction = size.squares.is_finite() && size.mean_square > 0.0;
        Stride {
            keep: 0.0,
            factor: match has_direction {
                true => self.scale / size.mean_square.sqrt(),
                false => 0.0,
            },
        }
    }
}

/// What moves and has no gradient goes nowhere.
struct Rest<'a>(&'a HashSet<ParamId>);

impl<B: ModelBackend> ModuleMapper<Autodiff<B>> for Rest<'_> {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<Autodiff<B>, D>>,
    ) -> Param<Tensor<Autodiff<B>, D>> {
        let (id, weight, mapper) = param.consume();
        let weight = match weight.is_require_grad() && !self.0.contains(&id) {
            true => weight.zeros_like(),
            false => weight,
        };
        Param::from_mapped_value(id, weight, mapper)
    }
}
