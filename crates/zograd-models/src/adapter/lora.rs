//! Low-rank additions to linear maps.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};

use crate::backend::ModelBackend;

/// The factors of one projection: `W x` becomes `W x + scale B (A x)`.
#[derive(Module, Debug)]
pub struct Lora<B: Backend> {
    /// `[r, in]`.
    pub a: Param<Tensor<B, 2>>,
    /// `[out, r]`.
    pub b: Param<Tensor<B, 2>>,
    /// `alpha / r`, or `alpha / sqrt(r)`.
    #[module(skip)]
    pub scale: f64,
}

impl<B: ModelBackend> Lora<B> {
    /// What is added to the projection of `x`: `[tokens, in]` to `[tokens, out]`.
    pub(crate) fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        addition(x, self.a.val(), self.b.val(), self.scale)
    }

    /// `weight + scale B A`, summed in f32 and rounded once to the type of `weight`.
    pub(crate) fn merged(&self, weight: Tensor<B, 2>) -> Tensor<B, 2> {
        let dtype = weight.dtype();
        let [weight, a, b] =
            [weight, self.a.val(), self.b.val()].map(|tensor| match tensor.dtype() {
                DType::F16 | DType::BF16 => tensor.cast(DType::F32),
                _ => tensor,
            });
        // B A = B (A^T)^T
        let sum = weight + B::packed_linear(b, a.transpose(), None).mul_scalar(self.scale);
        if sum.dtype() == dtype {
            sum
        } else {
            sum.cast(dtype)
        }
    }
}

/// `scale B (A x)`, by way of `[tokens, r]`; the product `B A` is never formed.
pub(super) fn addition<B: ModelBackend>(
    x: Tensor<B, 2>,
    a: Tensor<B, 2>,
    b: Tensor<B, 2>,
    scale: f64,
) -> Tensor<B, 2> {
    let low = B::packed_linear(x, a, None);
    B::packed_linear(low.mul_scalar(scale), b, None)
}
