//! The operations a backend may do faster than by plain tensor arithmetic.

#[cfg(any(feature = "ndarray", feature = "flex"))]
mod attend;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod cached;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod chains;
#[cfg(feature = "cube")]
mod cube;
#[cfg(all(target_arch = "x86_64", any(feature = "ndarray", feature = "flex")))]
mod few;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod gate;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod host;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod kernels;
pub(crate) mod plain;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod product;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod softmax;
#[cfg(any(feature = "ndarray", feature = "flex"))]
mod weight;

use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;

use crate::attention::{AttentionLayout, Heads};
use crate::rotary::Rotation;

/// The weight `[out, in]` and, if there is one, the bias `[out]` of a linear layer.
pub type WeightAndBias<B> = (Tensor<B, 2>, Option<Tensor<B, 1>>);

/// What stands between the two maps of a gated feed-forward layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// `x / (1 + exp(-x))`.
    Silu,
    /// GELU by `tanh`: `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// GELU by the error function: `x / 2 (1 + erf(x / sqrt(2)))`.
    Gelu,
}

/// A backend this crate's models run on.
///
/// Every method has a default made of differentiable tensor operations, so
/// `impl ModelBackend for MyBackend {}` is enough for a backend of your own crate, and models can be
/// differentiated through [`Autodiff`]. The backends of CubeCL have it for every runtime: CUDA, ROCm, Metal, Vulkan. The CPU backends override all of them: their own
/// matrix products reach about half of the machine's rate, and their elementwise operations make
/// several single-threaded passes where one threaded pass does. There all between 16-bit weights is f32: the weights
/// are brought to f32 a block at a time, and a model with such weights computes the bits of the f32 model with the same
/// numbers.
///
/// | backend | f32 | f16, bf16 | f64 |
/// |---|---|---|---|
/// | `NdArray` (feature `ndarray`) | overridden | none | default |
/// | `Flex` (feature `flex`) | overridden | overridden | default |
/// | `CubeBackend<R, ..>`, `Fusion<..>` (feature `cube`, in `cuda` and `wgpu`) | products, attention overridden | the same | default |
/// | `Autodiff<B>` | default | default | default |
///
/// What flows between the layers is the `x` of these methods. It has the type that [`ModelBackend::activations`] says,
/// and results have the type of `x`.
pub trait ModelBackend: Backend {
    /// The type of what flows between the layers of a model with `weights` of a type: by default the same.
    fn activations(weights: DType) -> DType {
        weights
    }

    /// `y = x W^T + b`, as PyTorch's `nn.Linear`: `x` is `[tokens, in]`, `weight` is `[out, in]`,
    /// `bias` is `[out]`; the result is `[tokens, out]`.
    ///
    /// # Panics
    /// The shapes do not fit, or the types are not those of a model.
    fn packed_linear(
        x: Tensor<Self, 2>,
        weight: Tensor<Self, 2>,
        bias: Option<Tensor<Self, 1>>,
    ) -> Tensor<Self, 2> {
        plain::linear(x, weight, bias)
    }

    /// Vocabulary logits `x T^T` in f32, or wider: `x` is `[tokens, width]`, `table` is `[ids, width]`; the result is
    /// `[tokens, ids]`. In bf16 those near 10 would be 2^-4 apart, and
    /// most losses of a probe equal.
    ///
    /// # Panics
    /// The shapes do not fit.
    fn packed_logits(x: Tensor<Self, 2>, table: Tensor<Self, 2>) -> Tensor<Self, 2> {
        plain::logits(x, table)
    }

    /// `y = relu(x W1^T + b1) W2^T + b2`: the feed-forward layers. `x` is `[tokens, width]`, the weights are
    /// `[inner, width]` and `[width, inner]`, the result is as `x`.
    ///
    /// # Panics
    /// The shapes do not fit, or the types are not those of a model.
    fn packed_feed_forward(
        x: Tensor<Self, 2>,
        inner: WeightAndBias<Self>,
        outer: WeightAndBias<Self>,
    ) -> Tensor<Self, 2> {
        plain::feed_forward(x, inner, outer)
    }

    /// `y = (g(x G^T + a) * (x U^T + b)) D^T + c`: the feed-forward layers of Llama and its kin. `x` is `[tokens, width]`, the
    /// weights of `gate` and `up` are `[inner, width]`, that of `down` is `[width, inner]`, the result is as `x`.
    ///
    /// # Panics
    /// The shapes do not fit, or the types are not those of a model.
    fn packed_gated_feed_forward(
        x: Tensor<Self, 2>,
        gate: WeightAndBias<Self>,
        up: WeightAndBias<Self>,
        down: WeightAndBias<Self>,
        activation: Gate,
    ) -> Tensor<Self, 2> {
        plain::gated_feed_forward(x, gate, up, down, activation)
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

    /// `y = x / sqrt(mean(x^2) + epsilon) * (offset + weight)` over the last dimension, computed in f32 whatever the dtype.
    /// `x` is `[rows, width]`. Gemma's offset is 1, that of others 0.
    ///
    /// # Panics
    /// The shapes do not fit.
    fn packed_rms_norm(
        x: Tensor<Self, 2>,
        weight: Tensor<Self, 1>,
        epsilon: f64,
        offset: f64,
    ) -> Tensor<Self, 2> {
        plain::rms_norm(x, weight, epsilon, offset)
    }

    /// Turns each head's pairs by the angles of their token's position. The pairs are as in Hugging Face's files: number `i` of a
    /// head's first half with number `i` of its second. `x` is `[tokens, heads * width]`, the heads side by side; their width is
    /// twice that of `rotation`. Computed in f32 whatever the dtype.
    ///
    /// # Panics
    /// The shapes do not fit.
    fn packed_rotary(x: Tensor<Self, 2>, rotation: &Rotation<Self>) -> Tensor<Self, 2> {
        plain::rotary(x, rotation)
    }

    /// Multi-head attention of packed tokens: `query` is `[tokens, query heads * width]`, `key` and `value` are
    /// `[tokens, key and value heads * width]`, the heads side by side; `layout` says how many there are, who sees whom, and
    /// what scores are multiplied by. Softmax in f32. The result is as `query`.
    ///
    /// Every token also sees `prefix`, if there is one, whatever the window: the keys and values of an adapter,
    /// `[prefix tokens, key and value heads * width]` each.
    ///
    /// # Panics
    /// `layout` was made for another number of tokens, or for other heads.
    fn packed_attention(
        prefix: Option<[Tensor<Self, 2>; 2]>,
        query: Tensor<Self, 2>,
        key: Tensor<Self, 2>,
        value: Tensor<Self, 2>,
        layout: &AttentionLayout<Self>,
    ) -> Tensor<Self, 2> {
        plain::attention(prefix, query, key, value, layout)
    }

    /// Writes the rows of `new`, `[rows, width]`, over the rows `places` of `cache`, `[cache rows, width]`, one each. In place, if
    /// this is the only handle of `cache` and the backend can.
    ///
    /// # Panics
    /// The shapes do not fit, or a place is none of the cache's rows.
    fn write_rows(
        cache: Tensor<Self, 2>,
        new: Tensor<Self, 2>,
        places: &[usize],
    ) -> Tensor<Self, 2> {
        plain::write_rows(cache, new, places)
    }

    /// Attention of one new token for each of some sequences, whose keys and values are rows of a cache. `query` is
    /// `[sequences, query heads * width]`, `keys` and `values` are `[cache rows, key and value heads * width]`. `seen` has the
    /// cache rows of each sequence, in the order of positions, those of the new token last. The first `prefix` of them are an
    /// adapter's, which are seen whatever the window. The result is as `query`.
    ///
    /// # Panics
    /// The shapes do not fit, or a range is empty or not among the cache's rows.
    fn cached_attention(
        query: Tensor<Self, 2>,
        keys: Tensor<Self, 2>,
        values: Tensor<Self, 2>,
        seen: &[Range<usize>],
        prefix: usize,
        heads: Heads,
    ) -> Tensor<Self, 2> {
        plain::cached_attention(query, keys, values, seen, prefix, heads)
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
