//! Passes over weights that the processor can read.

use super::NoisePass;
#[cfg(any(feature = "flex", feature = "ndarray"))]
use super::{Rooms, Sides};
#[cfg(feature = "cube")]
use crate::kernel::add_noise;
#[cfg(any(feature = "flex", feature = "ndarray"))]
use crate::kernel::{Weight, moved};
#[cfg(any(feature = "flex", feature = "ndarray"))]
use burn::tensor::Element;
use burn::tensor::TensorData;
#[cfg(any(feature = "cube", feature = "flex", feature = "ndarray"))]
use burn::tensor::TensorMetadata;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
#[cfg(feature = "cube")]
use burn::tensor::{DType, Tensor, TensorPrimitive};
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

/// A tensor that was lent.
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(super) trait Lent {
    /// Whether it has no other owner.
    fn is_free(&self) -> bool;
}

/// A tensor whose memory may be used for other weights of the type `W`.
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(super) trait IntoRoom<W> {
    /// Its memory, if it has weights of this type and no other owner.
    fn into_room(self) -> Option<Vec<W>>;
}

/// Smaller tensors get fresh memory: allocators keep pieces of that size at hand.
#[cfg(any(feature = "flex", feature = "ndarray"))]
const LEAST_BYTES: usize = 1 << 20;

/// [`NoiseBackend::moved`](super::NoiseBackend::moved) for `weights` of this shape, in row-major order, or these rows of them.
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(super) fn moved_tensors<B: Backend, W: Weight + Element>(
    (weights, mut shape, rows): (&[W], Vec<usize>, Option<&[u32]>),
    pass: &NoisePass<'_>,
    sides: Sides,
    rooms: &mut Rooms<FloatTensor<B>>,
) -> Vec<FloatTensor<B>>
where
    FloatTensor<B>: Lent + IntoRoom<W>,
{
    if let Some(rows) = rows {
        shape[0] = rows.len();
    }
    let len: usize = shape.iter().product();
    let large = len * size_of::<W>() >= LEAST_BYTES;
    let mut spare = Vec::new();
    if large {
        let fits = |tensor: &FloatTensor<B>| {
            let room = tensor.shape().num_elements();
            tensor.dtype() == W::dtype() && len <= room && room - len <= len / 8
        };
        let free = (0..sides.count()).map_while(|_| rooms.take(Lent::is_free, fits));
        spare.extend(free.filter_map(IntoRoom::into_room));
    }
    let moved = match rows {
        None => moved(weights, iter::once(0..weights.len()), pass, sides, spare),
        Some(rows) => {
            let width = shape[1..].iter().product();
            moved(weights, elements(rows, width), pass, sides, spare)
        }
    };
    let device = Default::default();
    let tensor = |values| {
        let tensor = B::float_from_data(TensorData::new(values, shape.clone()), &device);
        if large {
            rooms.lend(tensor.clone());
        }
        tensor
    };
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
