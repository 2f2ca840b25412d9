//! How parameters follow their gradients.

use burn::module::{ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use std::collections::HashSet;

/// How large the gradient of a parameter is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientSize {
    /// The sum of the squares of its numbers.
    pub squares: f64,
    /// Their mean; of a table of tokens or positions, of which most rows have no gradient, that of the row where it is
    /// largest.
    pub mean_square: f64,
}

/// What becomes of a weight `w` with the gradient `g`: `keep w - factor g`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stride {
    /// What is left of the weight.
    pub keep: f64,
    /// What the gradient is multiplied by.
    pub factor: f64,
}

/// Says how far each parameter goes along its gradient, from the gradient's size alone: there is no second pass.
pub trait TailRule {
    /// The stride of the parameter with this id, which has a gradient. `decays` is whether weight decay acts on it.
    fn stride(&mut self, id: ParamId, size: GradientSize, decays: bool) -> Stride;
}

impl GradientSize {
    pub(super) fn of<B: Backend, const D: usize>(gradient: &Tensor<B, D>) -> Self {
        let squares = number(gradient.clone().square().sum());
        let count = gradient.shape().num_elements().max(1);
        Self {
            squares,
            mean_square: squares / count as f64,
        }
    }

    /// Of rows of a table, `[rows, width]`.
    pub(super) fn of_rows<B: Backend>(gradient: &Tensor<B, 2>) -> Self {
        let [_, width] = gradient.dims();
        let rows = gradient.clone().square().sum_dim(1);
        Self {
            squares: number(rows.clone().sum()),
            mean_square: number(rows.max()) / width.max(1) as f64,
        }
    }

    /// Of these rows and of others.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            squares: self.squares + other.squares,
            // a NaN stays
            mean_square: match other.mean_square > self.mean_square {
                true => other.mean_square,
                false if other.mean_square.is_nan() => other.mean_square,
                false => self.mean_square,
            },
        }
    }
}

impl Stride {
    /// The weight after it.
    pub(super) fn of<B: Backend, const D: usize>(
        self,
        weight: Tensor<B, D>,
        gradient: Tensor<B, D>,
    ) -> Tensor<B, D> {
        let kept = self.kept(weight);
        match self.factor == 0.0 {
            true => kept,
            false => kept - gradient.mul_scalar(self.factor),
        }
    }

    /// What is left of the weight.
    pub(super) fn kept<B: Backend, const D: usize>(self, weight: Tensor<B, D>) -> Tensor<B, D> {
        match self.keep == 1.0 {
            true => weight,
            false => weight.mul_scalar(self.keep),
        }
    }
}

/// A tensor of one number.
fn number<B: Backend>(of: Tensor<B, 1>) -> f64 {
    // not by the backend's own element, which may be narrower
    of.into_data().iter::<f64>().next().unwrap_or(f64::NAN)
}

/// Has the parameters of a part of the model follow their gradients.
pub(super) struct Follow<'a, B: AutodiffBackend, R> {
    pub gradients: B::Gradients,
    pub decaying: &'a HashSet<ParamId>,
    pub rule: &'a mut R,
}

impl<B: AutodiffBackend, R: TailRule> ModuleMapper<B> for Follow<'_, B, R> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, weight, mapper) = param.consume();
        let moved = match weight.grad_remove(&mut self.gradients) {
            Some(gradient) if weight.is_require_grad() => {
                let size = GradientSize::of(&gradient);
                let stride = self.rule.stride(id, size, self.decaying.contains(&id));
                Tensor::from_inner(stride.of(weight.inner(), gradient)).require_grad()
            }
            _ => weight,
        };
        Param::from_mapped_value(id, moved, mapper)
    }
}
