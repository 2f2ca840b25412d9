use super::host::{IntoRoom, Lent, moved_tensors};
use super::{NoiseBackend, NoisePass, Rooms, Sides};
use crate::kernel::add_noise;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, Element};
use burn_flex::{Flex, FlexTensor};
use half::{bf16, f16};

impl NoiseBackend for Flex {
    const MAKES_ROWS: bool = true;

    fn add_noise(tensor: FloatTensor<Self>, pass: &NoisePass<'_>) -> FloatTensor<Self> {
        // A view (offset, strides) becomes a tensor of its own first; a whole one stays where it is.
        // (`to_contiguous` would return a second handle, and a second handle means a copy.)
        let mut tensor = if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
            tensor
        } else {
            tensor.to_contiguous()
        };
        let len = tensor.layout().num_elements();
        match tensor.dtype() {
            DType::F32 => add_noise(&mut tensor.storage_mut::<f32>()[..len], pass),
            DType::F64 => add_noise(&mut tensor.storage_mut::<f64>()[..len], pass),
            DType::F16 => add_noise(&mut tensor.storage_mut::<f16>()[..len], pass),
            DType::BF16 => add_noise(&mut tensor.storage_mut::<bf16>()[..len], pass),
            other => unreachable!("Flex holds floats as f64, f32, f16 or bf16, not {other:?}"),
        }
        tensor
    }

    fn moved(
        tensor: &FloatTensor<Self>,
        rows: Option<&[u32]>,
        pass: &NoisePass<'_>,
        sides: Sides,
        rooms: &mut Rooms<FloatTensor<Self>>,
    ) -> Vec<FloatTensor<Self>> {
        let whole;
        let (tensor, range) = match tensor.layout().contiguous_offsets() {
            Some((start, end)) => (tensor, start..end),
            None => {
                whole = tensor.to_contiguous();
                (&whole, 0..whole.layout().num_elements())
            }
        };
        let shape: Vec<usize> = tensor.layout().shape().iter().copied().collect();
        match tensor.dtype() {
            DType::F32 => {
                let weights = &tensor.storage::<f32>()[range];
                moved_tensors::<Self, _>((weights, shape, rows), pass, sides, rooms)
            }
            DType::F64 => {
                let weights = &tensor.storage::<f64>()[range];
                moved_tensors::<Self, _>((weights, shape, rows), pass, sides, rooms)
            }
            DType::F16 => {
                let weights = &tensor.storage::<f16>()[range];
                moved_tensors::<Self, _>((weights, shape, rows), pass, sides, rooms)
            }
            DType::BF16 => {
                let weights = &tensor.storage::<bf16>()[range];
                moved_tensors::<Self, _>((weights, shape, rows), pass, sides, rooms)
            }
            other => unreachable!("Flex holds floats as f64, f32, f16 or bf16, not {other:?}"),
        }
    }
}

impl Lent for FlexTensor {
    fn is_free(&self) -> bool {
        self.is_unique()
    }
}

impl<W: Element> IntoRoom<W> for FlexTensor {
    fn into_room(self) -> Option<Vec<W>> {
        // the data of a tensor with another owner would be a copy
        self.is_unique().then(|| self.into_data().into_vec().ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn a_room_is_the_memory_of_a_tensor_that_has_one_owner() {
        let values = [1f32, 2.0, 3.0].map(bf16::from_f32).to_vec();
        let tensor = FlexTensor::from_data(TensorData::new(values, [3]));
        let place = tensor.storage::<bf16>().as_ptr();
        let other = tensor.clone();
        assert!(!tensor.is_free());
        assert_eq!(IntoRoom::<bf16>::into_room(other), None);
        assert!(tensor.is_free());
        let room: Vec<bf16> = tensor.into_room().expect("its memory");
        assert_eq!(room.as_ptr(), place);
    }
}
