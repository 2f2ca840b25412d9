use super::host::moved_tensors;
use super::{NoiseBackend, NoisePass, Sides};
use crate::kernel::{Weight, add_noise};
use burn::tensor::Element;
use burn::tensor::ops::FloatTensor;
use burn_ndarray::{NdArray, NdArrayTensor, SharedArray};
use std::borrow::Cow;

impl NoiseBackend for NdArray<f32> {
    const MAKES_ROWS: bool = true;

    fn add_noise(tensor: FloatTensor<Self>, pass: &NoisePass<'_>) -> FloatTensor<Self> {
        apply(tensor, pass)
    }

    fn moved(
        tensor: &FloatTensor<Self>,
        rows: Option<&[u32]>,
        pass: &NoisePass<'_>,
        sides: Sides,
    ) -> Vec<FloatTensor<Self>> {
        out_of_place(tensor, rows, pass, sides)
    }
}

impl NoiseBackend for NdArray<f64> {
    const MAKES_ROWS: bool = true;

    fn add_noise(tensor: FloatTensor<Self>, pass: &NoisePass<'_>) -> FloatTensor<Self> {
        apply(tensor, pass)
    }

    fn moved(
        tensor: &FloatTensor<Self>,
        rows: Option<&[u32]>,
        pass: &NoisePass<'_>,
        sides: Sides,
    ) -> Vec<FloatTensor<Self>> {
        out_of_place(tensor, rows, pass, sides)
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

fn out_of_place(
    tensor: &NdArrayTensor,
    rows: Option<&[u32]>,
    pass: &NoisePass<'_>,
    sides: Sides,
) -> Vec<NdArrayTensor> {
    match tensor {
        NdArrayTensor::F32(storage) => {
            let view = storage.view();
            let weights = in_order(view.to_slice(), view.iter());
            let shape = view.shape().to_vec();
            moved_tensors::<NdArray, _>(&weights, shape, rows, pass, sides)
        }
        NdArrayTensor::F64(storage) => {
            let view = storage.view();
            let weights = in_order(view.to_slice(), view.iter());
            let shape = view.shape().to_vec();
            moved_tensors::<NdArray, _>(&weights, shape, rows, pass, sides)
        }
        other => unreachable!("NdArray holds floats as f32 or f64, not {other:?}"),
    }
}

/// The elements in row-major order: as they lie, or else one by one.
fn in_order<'a, E: Copy>(
    slice: Option<&'a [E]>,
    elements: impl Iterator<Item = &'a E>,
) -> Cow<'a, [E]> {
    match slice {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(elements.copied().collect()),
    }
}
