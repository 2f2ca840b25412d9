//! Lends the values of CPU tensors to the kernels.

use std::borrow::Cow;
use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData, TensorPrimitive};
use half::{bf16, f16};

use super::attend::KeyValues;
use super::plain::{of_type, to_f32};
use super::{Gate, ModelBackend, WeightAndBias, attend, cached, kernels, plain};
use crate::attention::{AttentionLayout, Heads};
use crate::rotary::Rotation;

/// A backend whose tensors are plain memory of this process.
trait HostBackend: Backend {
    /// The values in row-major order: borrowed if they lie so, else gathered. `None` of a type that the kernels do
    /// not know.
    fn values(primitive: &Self::FloatTensorPrimitive) -> Option<Values<'_>>;

    /// The f32 tensor with the values in row-major order changed: where they are if this is the only handle.
    fn changed(
        primitive: Self::FloatTensorPrimitive,
        change: impl FnOnce(&mut [f32]),
    ) -> Self::FloatTensorPrimitive;
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

fn gated_feed_forward<B: HostBackend + ModelBackend>(
    x: Tensor<B, 2>,
    maps: [WeightAndBias<B>; 3],
    activation: Gate,
) -> Tensor<B, 2> {
    let [tokens, width_in] = x.dims();
    let [gate, up, down] = maps.each_ref().map(|(weight, _)| weight.dims());
    let [width, width_out] = [gate[0], down[0]];
    assert_eq!(
        [gate, up, down],
        [[width, width_in], [width, width_in], [width_out, width]],
        "x is [_, {width_in}]"
    );
    let compute = || {
        let x = primitive(&x);
        let weights = maps.each_ref().map(|(weight, _)| primitive(weight));
        let biases = maps
            .each_ref()
            .map(|(_, bias)| bias.as_ref().map(primitive));
        let x = B::values(&x)?.wide();
        let mut wide = [None, None, None];
        for (wide, bias) in wide.iter_mut().zip(&biases) {
            if let Some(bias) = bias {
                *wide = Some(B::values(bias)?.wide());
            }
        }
        let [a, b, c] = wide.each_ref().map(Option::as_deref);
        let [gate, up, down] = weights.each_ref().map(B::values);
        let shape = [tokens, width_in, width, width_out];
        match (gate?, up?, down?) {
            (Values::F32(gate), Values::F32(up), Values::F32(down)) => {
                let maps = [(&*gate, a), (&*up, b), (&*down, c)];
                Some(kernels::gated_feed_forward(&x, maps, activation, shape))
            }
            (Values::F16(gate), Values::F16(up), Values::F16(down)) => {
                let maps = [(&*gate, a), (&*up, b), (&*down, c)];
                Some(kernels::gated_feed_forward(&x, maps, activation, shape))
            }
            (Values::BF16(gate), Values::BF16(up), Values::BF16(down)) => {
                let maps = [(&*gate, a), (&*up, b), (&*down, c)];
                Some(kernels::gated_feed_forward(&x, maps, activation, shape))
            }
            _ => None,
        }
    };
    match compute() {
        Some(y) => tensor(y, [tokens, width_out], (&x.device(), x.dtype())),
        None => {
            let [gate, up, down] = maps;
            plain::gated_feed_forward(x, gate, up, down, activation)
        }
    }
}

fn rms_norm<B: HostBackend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 1>,
    epsilon: f64,
    offset: f64,
) -> Tensor<B, 2> {
    let tensors = [primitive(&x), primitive(&weight)];
    let y = with_values::<B, 2>(tensors, |[x, weight]| {
        kernels::rms_norm(x, weight, epsilon as f32, offset as f32)
    });
    match y {
        Some(y) => tensor(y, x.dims(), (&x.device(), x.dtype())),
        None => plain::rms_norm(x, weight, epsilon, offset),
    }
}

fn rotary<B: HostBackend>(x: Tensor<B, 2>, rotation: &Rotation<B>) -> Tensor<B, 2> {
    let ([tokens, hidden], [angles, half]) = (x.dims(), rotation.cos.dims());
    assert!(
        tokens == angles && hidden.is_multiple_of(2 * half),
        "x is [{tokens}, {hidden}], the angles are [{angles}, {half}]"
    );
    let tensors = [
        primitive(&x),
        primitive(&rotation.cos),
        primitive(&rotation.sin),
    ];
    let y = with_values::<B, 3>(tensors, |[x, cos, sin]| {
        kernels::rotary(x, [cos, sin], [hidden, half])
    });
    match y {
        Some(y) => tensor(y, x.dims(), (&x.device(), x.dtype())),
        None => plain::rotary(x, rotation),
    }
}

fn attention<B: HostBackend>(
    prefix: Option<[Tensor<B, 2>; 2]>,
    query: Tensor<B, 2>,
    key: Tensor<B, 2>,
    value: Tensor<B, 2>,
    layout: &AttentionLayout<B>,
) -> Tensor<B, 2> {
    let (heads, rows) = (layout.heads(), layout.rows());
    assert_widths([&query, &key, &value], heads);
    let tensors = [primitive(&query), primitive(&key), primitive(&value)];
    let attended = match &prefix {
        None => with_values::<B, 3>(tensors, |[query, keys, values]| {
            let packed = KeyValues { keys, values };
            attend::attention(query, packed, KeyValues::default(), heads, rows)
        }),
        Some([keys, values]) => {
            let [query, key, value] = tensors;
            let tensors = [query, key, value, primitive(keys), primitive(values)];
            with_values::<B, 5>(tensors, |[query, keys, values, first, second]| {
                let packed = KeyValues { keys, values };
                let prefix = KeyValues {
                    keys: first,
                    values: second,
                };
                attend::attention(query, packed, prefix, heads, rows)
            })
        }
    };
    match attended {
        Some(attended) => tensor(attended, query.dims(), (&query.device(), query.dtype())),
        None => plain::attention(prefix, query, key, value, layout),
    }
}

fn write_rows<B: HostBackend>(
    cache: Tensor<B, 2>,
    new: Tensor<B, 2>,
    places: &[usize],
) -> Tensor<B, 2> {
    let [rows, width] = new.dims();
    assert_eq!(
        [rows, width],
        [places.len(), cache.dims()[1]],
        "a row for every place"
    );
    let new_primitive = primitive(&new);
    match (cache.dtype(), B::values(&new_primitive)) {
        (DType::F32, Some(Values::F32(values))) => {
            let cache = cache.into_primitive().tensor();
            let written = B::changed(cache, |all| {
                for (place, row) in places.iter().zip(values.chunks_exact(width)) {
                    all[place * width..][..width].copy_from_slice(row);
                }
            });
            Tensor::from_primitive(TensorPrimitive::Float(written))
        }
        _ => plain::write_rows(cache, new, places),
    }
}

fn cached_attention<B: HostBackend>(
    query: Tensor<B, 2>,
    [keys, values]: [Tensor<B, 2>; 2],
    seen: &[Range<usize>],
    prefix: usize,
    heads: Heads,
) -> Tensor<B, 2> {
    assert_widths([&query, &keys, &values], heads);
    let tensors = [primitive(&query), primitive(&keys), primitive(&values)];
    let attended = with_values::<B, 3>(tensors, |[query, keys, values]| {
        cached::attention(query, KeyValues { keys, values }, seen, prefix, heads)
    });
    match attended {
        Some(attended) => tensor(attended, query.dims(), (&query.device(), query.dtype())),
        None => plain::cached_attention(query, keys, values, seen, prefix, heads),
    }
}

/// Kernels find heads by their widths.
fn assert_widths<B: Backend>([query, key, value]: [&Tensor<B, 2>; 3], heads: Heads) {
    assert_eq!(
        [query, key, value].map(|tensor| tensor.dims()[1]),
        [heads.query, heads.key_value, heads.key_value].map(|count| count * heads.width),
        "query, key and value have {heads:?}"
    );
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

        fn packed_gated_feed_forward(
            x: Tensor<Self, 2>,
            gate: WeightAndBias<Self>,
            up: WeightAndBias<Self>,
            down: WeightAndBias<Self>,
            activation: Gate,
        ) -> Tensor<Self, 2> {
            gated_feed_forward(x, [gate, up, down], activation)
        }

        fn packed_rms_norm(
            x: Tensor<Self, 2>,
            weight: Tensor<Self, 1>,
            epsilon: f64,
            offset: f64,
        ) -> Tensor<Self, 2> {
            rms_norm(x, weight, epsilon, offset)
        }

        fn packed_rotary(x: Tensor<Self, 2>, rotation: &Rotation<Self>) -> Tensor<Self, 2> {
            rotary(x, rotation)
        }

        fn write_rows(
            cache: Tensor<Self, 2>,
            new: Tensor<Self, 2>,
            places: &[usize],
        ) -> Tensor<Self, 2> {
            write_rows(cache, new, places)
        }

        fn cached_attention(
            query: Tensor<Self, 2>,
            keys: Tensor<Self, 2>,
            values: Tensor<Self, 2>,
            seen: &[Range<usize>],
            prefix: usize,
            heads: Heads,
        ) -> Tensor<Self, 2> {
            cached_attention(query, [keys, values], seen, prefix, heads)
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

        fn changed(primitive: NdArrayTensor, change: impl FnOnce(&mut [f32])) -> NdArrayTensor {
            let NdArrayTensor::F32(storage) = primitive else {
                unreachable!("only f32 tensors are changed")
            };
            let mut array = storage.into_owned();
            if !array.is_standard_layout() {
                array = array.as_standard_layout().into_owned().into_shared();
            }
            // copy-on-write: no copy for the only handle
            change(array.as_slice_mut().expect("a standard layout is a slice"));
            array.into()
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

        fn changed(primitive: FlexTensor, change: impl FnOnce(&mut [f32])) -> FlexTensor {
            // (`to_contiguous` would return a second handle of a whole tensor, and a second handle means a copy)
            let mut tensor = match primitive.layout().contiguous_offsets() {
                Some((0, _)) => primitive,
                _ => primitive.to_contiguous(),
            };
            let numbers = tensor.layout().num_elements();
            change(&mut tensor.storage_mut::<f32>()[..numbers]);
            tensor
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

#[cfg(all(test, feature = "ndarray", feature = "flex"))]
mod tests {
    use super::*;

    /// Rows of a cache as large as any are written in the time that the rows take: the tensor stays where it is.
    fn rows_are_written_in_place<B: HostBackend + ModelBackend>() {
        let device = Default::default();
        let address = |tensor: &Tensor<B, 2>| match B::values(&primitive(tensor)) {
            Some(Values::F32(values)) => values.as_ptr().addr(),
            _ => unreachable!("f32 is known"),
        };
        let row = |number: f32| Tensor::<B, 2>::full([1, 3], number, &device);
        // what is borrowed from where it was made becomes a tensor's own with the first write
        let mut cache = B::write_rows(Tensor::zeros([9, 3], &device), row(1.0), &[2]);
        let first = address(&cache);
        for place in [8, 0] {
            let shared = cache.clone();
            drop(shared);
            cache.inplace(|cache| B::write_rows(cache, row(place as f32), &[place]));
            assert_eq!(address(&cache), first);
        }
        // another handle keeps what it has
        let before = cache.clone();
        let after = B::write_rows(cache, row(5.0), &[2]);
        let column = |tensor: Tensor<B, 2>| tensor.into_data().iter::<f32>().step_by(3).collect();
        let before: Vec<f32> = column(before);
        assert_eq!(before, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0]);
        let after: Vec<f32> = column(after);
        assert_eq!(after, [0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0]);
    }

    #[test]
    fn rows_are_written_where_they_are() {
        rows_are_written_in_place::<burn_ndarray::NdArray>();
        rows_are_written_in_place::<burn_flex::Flex>();
    }
}
