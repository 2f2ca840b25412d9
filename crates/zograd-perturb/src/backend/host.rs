//! Moving the weights of CPU tensors out of place.

use super::{NoisePass, Sides};
use crate::kernel::{Weight, moved};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Element, TensorData};
use std::iter;
use std::ops::Range;

/// [`NoiseBackend::moved`](super::NoiseBackend::moved) for `weights` of this shape, in row-major order.
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
fn elements(rows: &[u32], width: usize) -> impl Iterator<Item = Range<usize>> {
    rows.chunk_by(|a, b| a + 1 == *b).map(move |run| {
        let first = run[0] as usize;
        first * width..(first + run.len()) * width
    })
}
