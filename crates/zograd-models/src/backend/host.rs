//! Lends the values of CPU tensors to the kernels.

use std::borrow::Cow;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use half::{bf16, f16};

use super::kernels::KeyValues;
use super::plain::{of_type, to_f32};
use super::{ModelBackend, WeightAndBias, kernels, plain};
use crate::attention::{AttentionLayout, Heads};

/// A backend whose tensors are plain memory of this process.
trait HostBackend: Backend {
    /// The values in row-major order: borrowed if they lie so, else gathered. `None` of a type that the kernels do
    /// not know.
    fn values(primitive: &Self::FloatTensorPrimitive) -> Option<Values<'_>>;
}

/// The values of a tensor, in its type.
enum Values<'t> {
    F32(Cow<'t, [f32]>),
    F16(Cow<'t, [f16]>),
    BF16(Cow<'t, [bf16]>),
}

impl<'t> Values<'t> {
    /// In f32: for what is small, and what flows between the layers, which is f32 anyway.
    fn wide(self) -> Cow<'t, [f32]> {
        match self {
            Self::F32(values) => values,
            Self::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
            Self::BF16(values) => values.iter().map(|value| value.to_f32()).collect(),
        }
    }
}

/// Calls `kernel` with the values of the tensors in f32, if their types are known.
fn with_values<B: HostBackend, const N: usize>(
    tensors: [B::FloatTensorPrimitive; N],
    kernel: impl FnOnce([&[f32]; N]) -> Vec<f32>,
) -> Option<Vec<f32>> {
    let mut values = Vec::with_capacity(N);
    for tensor in &tensors {
        values.push(B::values(tensor)?.wide());
    }
    Some(kernel(std::array::from_fn(|index| &*values[index])))
}

fn primitive<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> B::FloatTensorPrimitive {
    tensor.clone().into_primitive().tensor()
}

/// A new tensor, of the type that the operation's input has.
fn tensor<B: Backend, const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    (device, dtype): (&B::Device, DType),
) -> Tensor<B, D> {
    let wide = Tensor::from_data(TensorData::new(values, shape), (device, DType::F32));
    of_type(wide, dtype)
}

fn linear<B: HostBackend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 2> {
    let [tokens, width_in] = x.dims();
    let [width_out, expected] = weight.dims();
    assert_eq!(
        width_in, expected,
        "x is [_, {width_in}], W is [_, {expected}]"
    );
    let shape = [tokens, width_in, width_out];
    let compute = || {
        let (x, weight) = (primitive(&x), primitive(&weight));
        let bias = bias.as_ref().map(primitive);
        let x = B::values(&x)?.wide();
        let bias = match &bias {
            Some(bias) => Some(B::values(bias)?.wide()),
            None => None,
        };
        let bias = bias.as_deref();
        Some(match B::values(&weight)? {
            Values::F32(weight) => kernels::linear(&x, &weight, bias, shape),
            Values::F16(weight) => kernels::linear(&x, &weight, bias, shape),
            Values::BF16(weight) => kernels::linear(&x, &weight, bias, shape),
        })
    };
    match compute() {
        Some(y) => tensor(y, [tokens, width_out], (&x.device(), x.dtype())),
        None => plain::linear(x, weight, bias),
    }
}

fn feed_forward<B: HostBackend + ModelBackend>(
    x: Tensor<B, 2>,
    inner: WeightAndBias<B>,
    outer: WeightAndBias<B>,
) -> Tensor<B, 2> {
    let [tokens, width_in] = x.dims();
    let ([width, expected], [width_out, inner_width]) = (inner.0.dims(), outer.0.dims());
    assert_eq!(
        (width_in, width),
        (expected, inner_width),
        "x is [_, {width_in}], W1 is [{width}, {expected}], W2 is [_, {inner_width}]"
    );
    let shape = [tokens, width_in, width, width_out];
    let compute = || {
        let (x, w1, w2) = (primitive(&x), primitive(&inner.0), primitive(&outer.0));
        let biases = match (&inner.1, &outer.1) {
            (Some(b1), Some(b2)) => Some([primitive(b1), primitive(b2)]),
            (None, None) => None,
            _ => return None,
        };
        let x = B::values(&x)?.wide();
        let biases = match &biases {
            Some([b1, b2]) => [Some(B::values(b1)?.wide()), Some(B::values(b2)?.wide())],
            None => [None, None],
        };
        let [b1, b2] = biases.each_ref().map(Option::as_deref);
        match (B::values(&w1)?, B::values(&w2)?) {
            (Values::F32(w1), Values::F32(w2)) => {
                Some(kernels::feed_forward(&x, (&w1, b1), (&w2, b2), shape))
            }
            (Values::F16(w1), Values::F16(w2)) => {
                Some(kernels::feed_forward(&x, (&w1, b1), (&w2, b2), shape))
            }
            (Values::BF16(w1), Values::BF16(w2)) => {
                Some(kernels::feed_forward(&x, (&w1, b1), (&w2, b2), shape))
            }
            _ => None,
        }
    };
    match compute() {
        Some(y) => tensor(y, [tokens, width_out], (&x.device(), x.dtype())),
        None => plain::feed_forward(x, inner, outer),
    }
}

fn add<B: HostBackend>(x: Tensor<B, 2>, y: Tensor<B, 2>) -> Tensor<B, 2> {
    let shape = x.dims();
    assert_eq!(shape, y.dims(), "only tensors of one shape are added");
    let sum = with_values::<B, 2>([primitive(&x), primitive(&y)], |[x, y]| kernels::add(x, y));
    match sum {
        Some(sum) => tensor(sum, shape, (&x.device(), x.dtype())),
        None => x + y,
    }
}

fn layer_norm<B: HostBackend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 2> {
    let tensors = [primitive(&x), primitive(&weight), primitive(&bias)];
    let y = with_values::<B, 3>(tensors, |[x, weight, bias]| {
        kernels::layer_norm(x, weight, bias, epsilon as f32)
    });
    match y {
        Some(y) => tensor(y, x.dims(), (&x.device(), x.dtype())),
        None => plain::layer_norm(x, weight, bias, epsilon),
    }
}

fn attention<B: HostBackend>(
    prefix: Option<[Tensor<B, 2>; 2]>,
    query: Tensor<B, 2>,
    key: Tensor<B, 2>,
    value: Tensor<B, 2>,
    layout: &AttentionLayout<B>,
) -> Tensor<B, 2> {
    let [_, hidden] = query.dims();
    let heads = layout.heads();
    if heads != Heads::plain(heads.query, heads.width) {
        return plain::attention(prefix, query, key, value, layout);
    }
    let tensors = [primitive(&query), primitive(&key), primitive(&value)];
    let shape = [hidden, heads.query];
    let attended = match &prefix {
        None => with_values::<B, 3>(tensors, |[query, keys, values]| {
            let prefix = KeyValues::default();
            kernels::attention(
                query,
                KeyValues { keys, values },
                prefix,
                shape,
                layout.rows(),
            )
        }),
        Some([keys, values]) => {
            let [query, key, value] = tensors;
            let tensors = [query, key, value, primitive(keys), primitive(values)];
            with_values::<B, 5>(tensors, |[query, keys, values, first, second]| {
                let prefix = KeyValues {
                    keys: first,
                    values: second,
                };
                kernels::attention(
                    query,
                    KeyValues { keys, values },
                    prefix,
                    shape,
                    layout.rows(),
                )
            })
        }
    };
    match attended {
        Some(attended) => tensor(attended, query.dims(), (&query.device(), query.dtype())),
        None => plain::attention(prefix, query, key, value, layout),
    }
}

fn log_probs_at<B: HostBackend>(logits: Tensor<B, 2>, pairs: &[(usize, u32)]) -> Tensor<B, 1> {
    let [_, vocabulary] = logits.dims();
    let scores = with_values::<B, 1>([primitive(&logits)], |[logits]| {
        kernels::log_probs_at(logits, vocabulary, pairs)
    });
    match scores {
        Some(scores) => tensor(scores, [pairs.len()], (&logits.device(), DType::F32)),
        None => plain::log_probs_at(logits, pairs),
    }
}

/// The methods of [`ModelBackend`] by the kernels of this module.
macro_rules! by_kernels {
    () => {
        fn activations(weights: DType) -> DType {
            match weights {
                DType::F16 | DType::BF16 => DType::F32,
                other => other,
            }
        }

        fn packed_logits(x: Tensor<Self, 2>, table: Tensor<Self, 2>) -> Tensor<Self, 2> {
            linear(to_f32(x), table, None)
        }

        fn packed_linear(
            x: Tensor<Self, 2>,
            weight: Tensor<Self, 2>,
            bias: Option<Tensor<Self, 1>>,
        ) -> Tensor<Self, 2> {
            linear(x, weight, bias)
        }

        fn packed_feed_forward(
            x: Tensor<Self, 2>,
            inner: WeightAndBias<Self>,
            outer: WeightAndBias<Self>,
        ) -> Tensor<Self, 2> {
            feed_forward(x, inner, outer)
        }

        fn packed_add(x: Tensor<Self, 2>, y: Tensor<Self, 2>) -> Tensor<Self, 2> {
            add(x, y)
        }

        fn packed_layer_norm(
            x: Tensor<Self, 2>,
            weight: Tensor<Self, 1>,
            bias: Tensor<Self, 1>,
            epsilon: f64,
        ) -> Tensor<Self, 2> {
            layer_norm(x, weight, bias, epsilon)
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

        fn log_probs_at(logits: Tensor<Self, 2>, pairs: &[(usize, u32)]) -> Tensor<Self, 1> {
            log_probs_at(logits, pairs)
        }
    };
}

#[cfg(feature = "ndarray")]
mod ndarray {
    use burn_ndarray::{NdArray, NdArrayTensor};

    use super::*;

    impl HostBackend for NdArray {
        fn values(primitive: &NdArrayTensor) -> Option<Values<'_>> {
            let NdArrayTensor::F32(storage) = primitive else {
                return None;
            };
            let view = storage.view();
            Some(Values::F32(match view.to_slice() {
                Some(values) => Cow::Borrowed(values),
                None => Cow::Owned(view.iter().copied().collect()),
            }))
        }
    }

    impl ModelBackend for NdArray {
        by_kernels!();
    }
}

#[cfg(feature = "flex")]
mod flex {
    use burn_flex::{Flex, FlexTensor};

    use super::*;

    impl HostBackend for Flex {
        fn values(primitive: &FlexTensor) -> Option<Values<'_>> {
            match primitive.dtype() {
                DType::F32 => Some(Values::F32(stored(primitive, FlexTensor::storage))),
                DType::F16 => Some(Values::F16(stored(primitive, FlexTensor::storage))),
                DType::BF16 => Some(Values::BF16(stored(primitive, FlexTensor::storage))),
                _ => None,
            }
        }
    }

    fn stored<E: Clone>(primitive: &FlexTensor, storage: fn(&FlexTensor) -> &[E]) -> Cow<'_, [E]> {
        match primitive.layout().contiguous_offsets() {
            Some((start, end)) => Cow::Borrowed(&storage(primitive)[start..end]),
            None => Cow::Owned(storage(&primitive.to_contiguous()).to_vec()),
        }
    }

    impl ModelBackend for Flex {
        by_kernels!();
    }
}
