//! Rows to look up, on the device.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

/// A one-dimensional integer tensor, in the backend's integer type.
pub(crate) fn indices<B: Backend>(
    values: impl Iterator<Item = i32>,
    device: &B::Device,
) -> Tensor<B, 1, Int> {
    let values: Vec<i32> = values.collect();
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}
