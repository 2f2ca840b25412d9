//! GPUs: kernels for every runtime of CubeCL, and their place in a fused stream of operations.
//!
//! burn picks its matrix products by timing several; which one wins differs from run to run and with it the bits, and some
//! of them are wrong (docs/src/gpu.md). Here one kernel is chosen by the shapes alone, and f32 stays f32.

mod attention;
mod fusion;
mod product;

use super::{ModelBackend, WeightAndBias, plain};
use crate::attention::{AttentionLayout, Heads};
use burn::tensor::backend::{Backend, DeviceOps};
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{DType, Int, Tensor, TensorPrimitive};
use burn_cubecl::cubecl::server::ComputeServer;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};

/// What the kernels of this module do, on primitives: so that a fusing backend can record them.
trait CubeKernels: Backend {
    /// A linear layer.
    fn product(inputs: Product<Self>) -> FloatTensor<Self>;

    /// Attention with what each token sees as [`AttentionLayout::seen`] says. Heads are at most [`WIDEST`] wide, and multiples of
    /// [`WIDTHS`].
    fn attend(inputs: Attention<Self>) -> FloatTensor<Self>;
}

/// What a linear layer is given.
struct Product<B: Backend> {
    /// `[tokens, in]`.
    x: FloatTensor<B>,
    /// `[out, in]`.
    weight: FloatTensor<B>,
    /// `[out]`.
    bias: Option<FloatTensor<B>>,
    /// Whether negative results become 0.
    rectified: bool,
    /// Of the result.
    out: DType,
}

/// What attention is given.
struct Attention<B: Backend> {
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    /// Keys and values that all tokens see.
    prefix: Option<[FloatTensor<B>; 2]>,
    seen: IntTensor<B>,
    heads: Heads,
}

impl<R, F, I, BT> CubeKernels for CubeBackend<R, F, I, BT>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    BT: BoolElement,
    R::Server: ComputeServer,
    R::Device: DeviceOps,
    Self: Backend<FloatTensorPrimitive = CubeTensor<R>, IntTensorPrimitive = CubeTensor<R>>,
{
    fn product(inputs: Product<Self>) -> CubeTensor<R> {
        product::product(inputs)
    }

    fn attend(inputs: Attention<Self>) -> CubeTensor<R> {
        attention::attend(inputs)
    }
}

/// The widest heads that the kernel of attention takes.
const WIDEST: usize = 128;

/// What the widths of its heads are multiples of.
const WIDTHS: usize = 8;

fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

/// `x W^T + b`, rectified: what of it is asked for. `None` of f64, which these kernels would round.
fn linear<B: CubeKernels>(
    x: &Tensor<B, 2>,
    weight: &Tensor<B, 2>,
    bias: Option<&Tensor<B, 1>>,
    rectified: bool,
    out: DType,
) -> Option<Tensor<B, 2>> {
    let ([_, width_in], [_, expected]) = (x.dims(), weight.dims());
    assert_eq!(
        width_in, expected,
        "x is [_, {width_in}], W is [_, {expected}]"
    );
    if x.dtype() == DType::F64 {
        return None;
    }
    Some(tensor(B::product(Product {
        x: primitive(x.clone()),
        weight: primitive(weight.clone()),
        bias: bias.cloned().map(primitive),
        rectified,
        out,
    })))
}

fn attention<B: CubeKernels>(
    prefix: Option<[Tensor<B, 2>; 2]>,
    query: Tensor<B, 2>,
    key: Tensor<B, 2>,
    value: Tensor<B, 2>,
    layout: &AttentionLayout<B>,
) -> Tensor<B, 2> {
    let heads = layout.heads();
    if heads.width > WIDEST || query.dtype() == DType::F64 {
        return plain::attention(prefix, query, key, value, layout);
    }
    let seen: Tensor<B, 1, Int> = layout.seen(&query.device());
    let width = heads.width.next_multiple_of(WIDTHS);
    let wide = |x| primitive(widened::<B>(x, heads.width, width));
    let found = tensor::<B, 2>(B::attend(Attention {
        query: wide(query),
        key: wide(key),
        value: wide(value),
        prefix: prefix.map(|prefix| prefix.map(wide)),
        seen: seen.into_primitive(),
        heads: Heads { width, ..heads },
    }));
    if width == heads.width {
        return found;
    }
    let [tokens, _] = found.dims();
    let found = found.reshape([tokens, heads.query, width]);
    let found = found.slice([0..tokens, 0..heads.query, 0..heads.width]);
    found.reshape([tokens, heads.query * heads.width])
}

/// Heads of `to` numbers where they have `from`: zeros add nothing to a score, and nobody reads what they become.
fn widened<B: Backend>(x: Tensor<B, 2>, from: usize, to: usize) -> Tensor<B, 2> {
    if from == to {
        return x;
    }
    let [rows, columns] = x.dims();
    let heads = columns / from;
    let zeros = Tensor::zeros([rows, heads, to - from], (&x.device(), x.dtype()));
    let wide = Tensor::cat(vec![x.reshape([rows, heads, from]), zeros], 2);
    wide.reshape([rows, heads * to])
}

/// The methods of [`ModelBackend`] by the kernels of this module.
macro_rules! by_kernels {
    () => {
        fn packed_linear(
            x: Tensor<Self, 2>,
            weight: Tensor<Self, 2>,
            bias: Option<Tensor<Self, 1>>,
        ) -> Tensor<Self, 2> {
            linear(&x, &weight, bias.as_ref(), false, x.dtype())
                .unwrap_or_else(|| plain::linear(x, weight, bias))
        }

        fn packed_logits(x: Tensor<Self, 2>, table: Tensor<Self, 2>) -> Tensor<Self, 2> {
            linear(&x, &table, None, false, DType::F32).unwrap_or_else(|| plain::logits(x, table))
        }

        fn packed_feed_forward(
            x: Tensor<Self, 2>,
            inner: WeightAndBias<Self>,
            outer: WeightAndBias<Self>,
        ) -> Tensor<Self, 2> {
            match linear(&x, &inner.0, inner.1.as_ref(), true, x.dtype()) {
                Some(inner) => Self::packed_linear(inner, outer.0, outer.1),
                None => plain::feed_forward(x, inner, outer),
            }
        }

        fn packed_attention(
            prefix: Option<[Tensor<Self, 2>; 2]>,
            query: Tensor<Self, 2>,
            key: Tensor<Self, 2>,
            value: Tensor<Self, 2>,
            layout: &AttentionLayout<Self>,
        ) -> Tensor<Self, 2> {
            attention(prefix, query, key, value, layout)
        }
    };
}

impl<R, F, I, BT> ModelBackend for CubeBackend<R, F, I, BT>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    BT: BoolElement,
    R::Server: ComputeServer,
    R::Device: DeviceOps,
    Self: Backend<FloatTensorPrimitive = CubeTensor<R>, IntTensorPrimitive = CubeTensor<R>>,
{
    by_kernels!();
}

#[allow(
    private_bounds,
    reason = "which kernels there are is this crate's business"
)]
impl<B> ModelBackend for burn_fusion::Fusion<B>
where
    B: burn_fusion::FusionBackend + CubeKernels,
    Self: CubeKernels,
{
    by_kernels!();
}
