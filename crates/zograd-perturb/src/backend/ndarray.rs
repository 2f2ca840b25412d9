use super::{NoiseBackend, NoisePass};
use crate::kernel::{Weight, add_noise};
use burn::tensor::Element;
use burn::tensor::ops::FloatTensor;
use burn_ndarray::{NdArray, NdArrayTensor, SharedArray};

impl NoiseBackend for NdArray<f32> {
    fn add_noise(tensor: FloatTensor<Self>, pass: &NoisePass<'_>) -> FloatTensor<Self> {
        apply(tensor, pass)
    }
}

impl NoiseBackend for NdArray<f64> {
    fn add_noise(tensor: FloatTensor<Self>, pass: &NoisePass<'_>) -> FloatTensor<Self> {
        apply(tensor, pass)
    }
}

fn apply(tensor: NdArrayTensor, pass: &NoisePass<'_>) -> NdArrayTensor {
    match tensor {
        // Weights fresh from a file may still be borrowed from its bytes: they become owned, once.
        NdArrayTensor::F32(storage) => in_place(storage.into_owned(), pass).into(),
        NdArrayTensor::F64(storage) => in_place(storage.into_owned(), pass).into(),
        other => unreachable!("NdArray holds floats as f32 or f64, not {other:?}"),
    }
}

fn in_place<E: Weight + Element>(
    mut array: SharedArray<E>,
    pass: &NoisePass<'_>,
) -> SharedArray<E> {
    if !array.is_standard_layout() {
        array = array.as_standard_layout().into_owned().into_shared();
    }
    // copy-on-write: no copy for the only owner
    let weights = array.as_slice_mut();
    add_noise(weights.expect("a standard layout is a slice"), pass);
    array
}
