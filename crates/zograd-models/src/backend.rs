//! The operations a backend may do faster than by plain tensor arithmetic.

#[cfg(feature = "cube")]
mod cube;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod host;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod kernels;
pub(crate) mod plain;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use crate::attention::AttentionLayout;

/// The weight `[out, in]` and, if there is one, the bias `[out]` of a linear layer.
pub type WeightAndBias<B> = (Tensor<B, 2>, Option<Tensor<B, 1>>);

/// A backend this crate's models run on.
///
/// Every method has a default made of differentiable tensor operations, so
/// `impl ModelBackend for MyBackend {}` is enough for a backend of your own crate, and models can be
/// differentiated through [`Autodiff`]. The backends of CubeCL have it for every runtime: CUDA, ROCm, Metal, Vulkan. The CPU backends override all of them for f32: their own
/// matrix products reach about half of the machine's rate, and their elementwise operations make
/// several single-threaded passes where one threaded pass does.
///
/// | backend | f32 | other dtypes |
/// |---|---|---|
/// | `NdArray` (feature `ndarray`) | overridden | f64: default |
/// | `Flex` (feature `flex`) | overridden | f16, bf16, f64: default |
/// | `CubeBackend<R, ..>`, `Fusion<..>` (feature `cube`, in `cuda` and `wgpu`) | products and attention overridden | the same |
/// | `Autodiff<B>` | default | default |
pub trait ModelBackend: Backend {
    /// `y = x W^T + b`, as PyTorch's `nn.Linear`: `x` is `[tokens, in]`, `weight` is `[out, in]`,
    /// `bias` is `[out]`, all of one dtype; the result is `[tokens, out]`.
    ///
    /// # Panics
    /// The shapes do not fit, or the dtypes differ.
    fn packed_linear(
        x: Tensor<Self, 2>,
        weight: Tensor<Self, 2>,
        bias: Option<Tensor<Self, 1>>,
    ) -> Tensor<Self, 2> {
        plain::linear(x, weight, bias)
    }

    /// `y = relu(x W1^T + b1) W2^T + b2`: the feed-forward layers. `x` is `[tokens, width]`, the weights are
    /// `[inner, width]` and `[width, inner]`, the result is as `x`.
    ///
    /// # Panics
    /// The shapes do not fit, or the dtypes differ.
    fn packed_feed_forward(
        x: Tensor<Self, 2>,
        inner: WeightAndBias<Self>,
        outer: WeightAndBias<Self>,
    ) -> Tensor<Self, 2> {
        plain::feed_forward(x, inner, outer)
    }

    /// `x + y`, of one shape `[tokens, width]` and dtype: the residual connections.
    ///
    /// # Panics
    /// The shapes or the dtypes differ.
    fn packed_add(x: Tensor<Self, 2>, y: Tensor<Self, 2>) -> Tensor<Self, 2> {
        x + y
    }

    /// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` over the last dimension, with
    /// the biased variance, computed in f32 whatever the dtype. `x` is `[tokens, width]`.
    ///
    /// # Panics
    /// The shapes do not fit.
    fn packed_layer_norm(
        x: Tensor<Self, 2>,
        weight: Tensor<Self, 1>,
        bias: Tensor<Self, 1>,
        epsilon: f64,
    ) -> Tensor<Self, 2> {
        plain::layer_norm(x, weight, bias, epsilon)
    }

    /// Multi-head attention of packed tokens: `query`, `key` and `value` are `[tokens, hidden]`
    /// with the heads side by side, `layout` says who sees whom; softmax in f32. Scores are
    /// scaled by `1 / sqrt(head width)`. The result is `[tokens, hidden]`.
    ///
    /// # Panics
    /// `layout` was made for another number of tokens.
    fn packed_attention(
        query: Tensor<Self, 2>,
        key: Tensor<Self, 2>,
        value: Tensor<Self, 2>,
        layout: &AttentionLayout<Self>,
    ) -> Tensor<Self, 2> {
        plain::attention(None, query, key, value, layout)
    }

    /// [`ModelBackend::packed_attention`] where every token also sees `prefix`: the keys and values of an
    /// adapter, `[prefix tokens, hidden]` each.
    ///
    /// # Panics
    /// `layout` was made for another number of tokens.
    fn packed_attention_after(
        prefix: [Tensor<Self, 2>; 2],
        query: Tensor<Self, 2>,
        key: Tensor<Self, 2>,
        value: Tensor<Self, 2>,
        layout: &AttentionLayout<Self>,
    ) -> Tensor<Self, 2> {
        plain::attention(Some(prefix), query, key, value, layout)
    }

    /// `log softmax(logits)[row, id]` in f32 for each of the (row, id) pairs; `logits` is
    /// `[rows, vocabulary]`, the result is `[pairs]`.
    ///
    /// # Panics
    /// A row or an id is out of range.
    fn log_probs_at(logits: Tensor<Self, 2>, pairs: &[(usize, u32)]) -> Tensor<Self, 1> {
        plain::log_probs_at(logits, pairs)
    }
}

impl<B: Backend, C: CheckpointStrategy> ModelBackend for Autodiff<B, C> {}
