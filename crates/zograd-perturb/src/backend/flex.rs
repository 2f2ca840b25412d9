use super::host::moved_tensors;
use super::{NoiseBackend, NoisePass, Sides};
use crate::kernel::add_noise;
use burn::tensor::DType;
use burn::tensor::ops::FloatTensor;
use burn_flex::Flex;
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
                moved_tensors::<Self, _>(&tensor.storage::<f32>()[range], shape, rows, pass, sides)
            }
            DType::F64 => {
                moved_tensors::<Self, _>(&tensor.storage::<f64>()[range], shape, rows, pass, sides)
            }
            DType::F16 => {
                moved_tensors::<Self, _>(&tensor.storage::<f16>()[range], shape, rows, pass, sides)
            }
            DType::BF16 => {
                moved_tensors::<Self, _>(&tensor.storage::<bf16>()[range], shape, rows, pass, sides)
            }
            other => unreachable!("Flex holds floats as f64, f32, f16 or bf16, not {other:?}"),
        }
    }
}
