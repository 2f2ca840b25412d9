//! Passes over weights that the processor can read.

use super::NoisePass;
#[cfg(any(feature = "flex", feature = "ndarray"))]
use super::Sides;
#[cfg(feature = "cube")]
use crate::kernel::add_noise;
#[cfg(any(feature = "flex", feature = "ndarray"))]
use crate::kernel::{Weight, moved};
#[cfg(any(feature = "flex", feature = "ndarray"))]
use burn::tensor::Element;
use burn::tensor::TensorData;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
#[cfg(feature = "cube")]
use burn::tensor::{DType, Tensor, TensorMetadata, TensorPrimitive};
#[cfg(any(feature = "flex", feature = "ndarray"))]
use std::{iter, ops::Range};

/// A pass over weights that are elsewhere, on a GPU: they are read, moved here and sent back. For noise that no kernel
/// makes there.
#[cfg(feature = "cube")]
pub(super) fn on_host<B: Backend>(tensor: FloatTensor<B>, pass: &NoisePass<'_>) -> FloatTensor<B> {
    let (shape, device) = (tensor.shape(), B::float_device(&tensor));
    let flat = B::float_reshape(tensor, [shape.num_elements()].into());
    let flat = Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(flat));
    let mut data = flat.into_data();
    match data.dtype {
        DType::F16 => add_noise(numbers::<half::f16>(&mut data), pass),
        DType::BF16 => add_noise(numbers::<half::bf16>(&mut data), pass),
        DType::F64 => add_noise(numbers::<f64>(&mut data), pass),
        _ => add_noise(numbers::<f32>(&mut data), pass),
    }
    B::float_reshape(B::float_from_data(data, &device), shape)
}

#[cfg(feature = "cube")]
fn numbers<E: burn::tensor::Element>(data: &mut TensorData) -> &mut [E] {
    data.as_mut_slice().expect("numbers of their type")
}

/// [`NoiseBackend::moved`](super::NoiseBackend::moved) for `weights` of this shape, in row-major order.
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(super) fn moved_tensors<B: Backend, W: Weight + Element>(
    weights: &[W],
    mut shape: Vec<usize>,
    rows: Option<&[u32]>,
    pass: &NoisePass<'_>,
    sides: Sides,
) -> Vec<FloatTensor<B>> {
    let moved = match rows {
        None => moved(weights, iter::once(0..weights.len()), pass, sides),
        Some(rows) => {
            let width = shape[1..].iter().product();
            shape[0] = rows.len();
            moved(weights, elements(rows, width), pass, sides)
        }
    };
    let device = Default::default();
    let tensor = |values| B::float_from_data(TensorData::new(values, shape.clone()), &device);
    moved.into_iter().map(tensor).collect()
}

/// The elements of the rows; those of rows that follow one another in one range.
#[cfg(any(feature = "flex", feature = "ndarray"))]
fn elements(rows: &[u32], width: usize) -> impl Iterator<Item = Range<usize>> {
    rows.chunk_by(|a, b| a + 1 == *b).map(move |run| {
        let first = run[0] as usize;
        first * width..(first + run.len()) * width
    })
}
