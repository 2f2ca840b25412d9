use super::{NoiseBackend, NoisePass};
use crate::kernel::add_noise;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, Tensor, TensorData, TensorPrimitive};
use burn_cuda::Cuda;
use half::{bf16, f16};

/// The pass is done on the host: the right bits, at the price of moving each tensor to the host and back.
/// A kernel on the device is to replace this.
impl NoiseBackend for Cuda {
    fn add_noise(tensor: FloatTensor<Self>, pass: &NoisePass<'_>) -> FloatTensor<Self> {
        on_host::<Self>(tensor, pass)
    }
}

fn on_host<B: Backend>(tensor: FloatTensor<B>, pass: &NoisePass<'_>) -> FloatTensor<B> {
    let device = B::float_device(&tensor);
    // the rank does not matter for reading
    let tensor = Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(tensor));
    let mut data = tensor.into_data();
    match data.dtype {
        DType::F32 | DType::Flex32 => add_noise(elements::<f32>(&mut data), pass),
        DType::F64 => add_noise(elements::<f64>(&mut data), pass),
        DType::F16 => add_noise(elements::<f16>(&mut data), pass),
        DType::BF16 => add_noise(elements::<bf16>(&mut data), pass),
        other => unreachable!("CUDA holds floats as f64, f32, f16 or bf16, not {other:?}"),
    }
    B::float_from_data(data, &device)
}

fn elements<E: burn::tensor::Element>(data: &mut TensorData) -> &mut [E] {
    let slice = data.as_mut_slice::<E>();
    slice.expect("the dtype was matched")
}
