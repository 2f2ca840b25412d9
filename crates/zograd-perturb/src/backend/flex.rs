use super::{NoiseBackend, NoisePass};
use crate::kernel::add_noise;
use burn::tensor::DType;
use burn::tensor::ops::FloatTensor;
use burn_flex::Flex;
use half::{bf16, f16};

impl NoiseBackend for Flex {
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
}
