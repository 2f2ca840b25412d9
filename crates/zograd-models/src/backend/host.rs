//! Lends the f32 values of CPU tensors to the kernels.

use std::borrow::Cow;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};

use super::kernels::KeyValues;
use super::{ModelBackend, WeightAndBias, kernels, plain};
use crate::attention::AttentionLayout;

/// A backend whose tensors are plain memory of this process.
trait HostBackend: Backend {
    /// The values in row-major order: borrowed if they lie so, else gathered. `None` unless f32.
    fn values(primitive: &Self::FloatTensorPrimitive) -> Option<Cow<'_, [f32]>>;
}

/// Calls `kernel` with the values of the tensors, if all of them are f32.
fn with_values<B: HostBackend, const N: usize>(
    tensors: [B::FloatTensorPrimitive; N],
    kernel: impl FnOnce([&[f32]; N]) -> Vec<f32>,
) -> Option<Vec<f32>> {
    let mut values = Vec::with_capacity(N);
    for tensor in &tensors {
        values.push(B::values(tensor)?);
    }
    Some(kernel(std::array::from_fn(|index| &*values[index])))
}

fn primitive<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> B::FloatTensorPrimitive {
    tensor.clone().into_primitive().tensor()
}

fn tensor<B: Backend, const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
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
    let y = match &bias {
        Some(bias) => with_values::<B, 3>(
            [primitive(&x), primitive(&weight), primitive(bias)],
            |[x, weight, bias]| kernels::linear(x, weight, Some(bias), shape),
        ),
        None => with_values::<B, 2>([primitive(&x), primitive(&weight)], |[x, weight]| {
            kernels::linear(x, weight, None, shape)
        }),
    };
    match y {
        Some(y) => tensor(y, [tokens, width_out], &x.device()),
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
    let weights = [primitive(&x), primitive(&inner.0), primitive(&outer.0)];
    let y = match (&inner.1, &outer.1) {
        (Some(b1), Some(b2)) => {
            let [x, w1, w2] = weights;
            with_values::<B, 5>(
                [x, w1, w2, primitive(b1), primitive(b2)],
                |[x, w1, w2, b1, b2]| {
                    kernels::feed_forward(x, (w1, Some(b1)), (w2, Some(b2)), shape)
                },
            )
        }
        (None, None) => with_values::<B, 3>(weights, |[x, w1, w2]| {
            kernels::feed_forward(x, (w1, None), (w2, None), shape)
        }),
        _ => None,
    };
    match y {
        Some(y) => tensor(y, [tokens, width_out], &x.device()),
        None => plain::feed_forward(x, inner, outer),
    }
}

fn add<B: HostBackend>(x: Tensor<B, 2>, y: Tensor<B, 2>) -> Tensor<B, 2> {
    let shape = x.dims();
    assert_eq!(shape, y.dims(), "only tensors of one shape are added");
    let sum = with_values::<B, 2>([primitive(&x), primitive(&y)], |[x, y]| kernels::add(x, y));
    match sum {
        Some(sum) => tensor(sum, shape, &x.device()),
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
        Some(y) => tensor(y, x.dims(), &x.device()),
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
    let tensors = [primitive(&query), primitive(&key), primitive(&value)];
    let shape = [hidden, layout.heads()];
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
        Some(attended) => tensor(attended, query.dims(), &query.device()),
        None => plain::attention(prefix, query, key, value, layout),
    }
}

fn log_probs_at<B: HostBackend>(logits: Tensor<B, 2>, pairs: &[(usize, u32)]) -> Tensor<B, 1> {
    let [_, vocabulary] = logits.dims();
    let scores = with_values::<B, 1>([primitive(&logits)], |[logits]| {
        kernels::log_probs_at(logits, vocabulary, pairs)
    });
    match scores {
        Some(scores) => tensor(scores, [pairs.len()], &logits.device()),
        None => plain::log_probs_at(logits, pairs),
    }
}

/// The methods of [`ModelBackend`] by the kernels of this module.
macro_rules! by_kernels {
    () => {
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
            query: Tensor<Self, 2>,
            key: Tensor<Self, 2>,
            value: Tensor<Self, 2>,
            layout: &AttentionLayout<Self>,
        ) -> Tensor<Self, 2> {
            attention(None, query, key, value, layout)
        }

        fn packed_attention_after(
            prefix: [Tensor<Self, 2>; 2],
            query: Tensor<Self, 2>,
            key: Tensor<Self, 2>,
            value: Tensor<Self, 2>,
            layout: &AttentionLayout<Self>,
        ) -> Tensor<Self, 2> {
            attention(Some(prefix), query, key, value, layout)
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
        fn values(primitive: &NdArrayTensor) -> Option<Cow<'_, [f32]>> {
            let NdArrayTensor::F32(storage) = primitive else {
                return None;
            };
            let view = storage.view();
            Some(match view.to_slice() {
                Some(values) => Cow::Borrowed(values),
                None => Cow::Owned(view.iter().copied().collect()),
            })
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
        fn values(primitive: &FlexTensor) -> Option<Cow<'_, [f32]>> {
            if primitive.dtype() != DType::F32 {
                return None;
            }
            Some(match primitive.layout().contiguous_offsets() {
                Some((start, end)) => Cow::Borrowed(&primitive.storage::<f32>()[start..end]),
                None => Cow::Owned(primitive.to_contiguous().storage::<f32>().to_vec()),
            })
        }
    }

    impl ModelBackend for Flex {
        by_kernels!();
    }
}
