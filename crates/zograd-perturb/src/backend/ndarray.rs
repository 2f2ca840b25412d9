use super::host::{IntoRoom, Lent, moved_tensors};
use super::{NoiseBackend, NoisePass, Rooms, Sides};
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
        rooms: &mut Rooms<FloatTensor<Self>>,
    ) -> Vec<FloatTensor<Self>> {
        out_of_place(tensor, rows, pass, sides, rooms)
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
        rooms: &mut Rooms<FloatTensor<Self>>,
    ) -> Vec<FloatTensor<Self>> {
        out_of_place(tensor, rows, pass, sides, rooms)
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
    rooms: &mut Rooms<NdArrayTensor>,
) -> Vec<NdArrayTensor> {
    match tensor {
        NdArrayTensor::F32(storage) => {
            let view = storage.view();
            let weights = in_order(view.to_slice(), view.iter());
            let shape = view.shape().to_vec();
            moved_tensors::<NdArray, _>((&weights, shape, rows), pass, sides, rooms)
        }
        NdArrayTensor::F64(storage) => {
            let view = storage.view();
            let weights = in_order(view.to_slice(), view.iter());
            let shape = view.shape().to_vec();
            moved_tensors::<NdArray, _>((&weights, shape, rows), pass, sides, rooms)
        }
        other => unreachable!("NdArray holds floats as f32 or f64, not {other:?}"),
    }
}

impl Lent for NdArrayTensor {
    fn is_free(&self) -> bool {
        match self {
            Self::F32(storage) => storage.is_unique(),
            Self::F64(storage) => storage.is_unique(),
            _ => false,
        }
    }
}

impl IntoRoom<f32> for NdArrayTensor {
    fn into_room(self) -> Option<Vec<f32>> {
        match self {
            Self::F32(storage) => room(storage.into_owned()),
            _ => None,
        }
    }
}

impl IntoRoom<f64> for NdArrayTensor {
    fn into_room(self) -> Option<Vec<f64>> {
        match self {
            Self::F64(storage) => room(storage.into_owned()),
            _ => None,
        }
    }
}

/// The memory of an array without another owner.
fn room<E: Element>(array: SharedArray<E>) -> Option<Vec<E>> {
    let owned = array.try_into_owned_nocopy().ok()?;
    Some(owned.into_raw_vec_and_offset().0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use burn::tensor::ops::FloatTensorOps;

    #[test]
    fn a_room_is_the_memory_of_a_tensor_that_has_one_owner() {
        let data = TensorData::from([[1f32, 2.0], [3.0, 4.0]]);
        let tensor = <NdArray<f32>>::float_from_data(data, &Default::default());
        let NdArrayTensor::F32(storage) = &tensor else {
            panic!("{tensor:?}");
        };
        let place = storage.view().as_ptr();
        let other = tensor.clone();
        assert!(!tensor.is_free());
        assert_eq!(IntoRoom::<f32>::into_room(other), None);
        assert!(tensor.is_free());
        let room: Vec<f32> = tensor.into_room().expect("its memory");
        assert_eq!(room.as_ptr(), place);
    }
}
