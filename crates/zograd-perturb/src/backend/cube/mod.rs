//! GPUs: one kernel for every runtime of CubeCL, and its place in a fused stream of operations.

mod fusion;
mod kernel;
mod words;

use super::host::on_host;
use super::{NoiseBackend, NoisePass};
use crate::NoiseKind;
use crate::noise::BLOCKS;
use burn::tensor::DType;
use burn::tensor::backend::{Backend, DeviceOps};
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::ComputeServer;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use kernel::{ShiftLaunch, gaussian, signs};

impl<R, F, I, BT> NoiseBackend for CubeBackend<R, F, I, BT>
where
    R: CubeRuntime,
    R::Server: ComputeServer,
    R::Device: DeviceOps,
    F: FloatElement,
    I: IntElement,
    BT: BoolElement,
    Self: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    fn add_noise(tensor: CubeTensor<R>, pass: &NoisePass<'_>) -> CubeTensor<R> {
        if pass.terms.is_empty() && pass.made.is_empty() && pass.shrink == 0.0 {
            return tensor;
        }
        if !pass.made.is_empty() {
            return on_host::<Self>(tensor, pass);
        }
        launch(tensor, pass)
    }
}

/// Runs the kernel on the tensor's own memory, or on that of a copy if it is shared.
fn launch<R: CubeRuntime>(tensor: CubeTensor<R>, pass: &NoisePass<'_>) -> CubeTensor<R> {
    match tensor.dtype {
        DType::F32 | DType::Flex32 | DType::F16 | DType::BF16 => {}
        other => panic!("weights on this backend are f32, f16 or bf16, not {other:?}"),
    }
    let tensor = into_contiguous(tensor);
    let tensor = if tensor.can_mut() {
        tensor
    } else {
        tensor.copy()
    };
    let elements = tensor.meta.num_elements();
    if elements == 0 {
        return tensor;
    }
    let client = tensor.client.clone();
    let words = words::of_terms(pass.terms);
    let len = words.len();
    let words = words::on_device(&tensor, words);
    let id = pass.tensor.value();
    let (low, high) = (id as u32, (id >> 32) as u32);
    let shift = ShiftLaunch::new(pass.shrink, pass.dither, pass.base());
    let dtype = tensor.dtype.into();
    // SAFETY: the buffer of `words` has their length, `tensor` is contiguous with `elements` elements,
    // and a unit checks the bounds of what it reads and writes in it.
    unsafe {
        let weights = ArrayArg::from_raw_parts(tensor.handle.clone(), elements);
        let words = ArrayArg::from_raw_parts(words, len);
        match pass.kind {
            NoiseKind::Gaussian => {
                let blocks = elements.div_ceil(gaussian::WEIGHTS * BLOCKS) * BLOCKS;
                let cube_dim = CubeDim::new(&client, blocks);
                let cubes = calculate_cube_count_elemwise(&client, blocks, cube_dim);
                gaussian::add_noise::launch_unchecked::<R>(
                    &client, cubes, cube_dim, weights, words, low, high, shift, dtype,
                );
            }
            NoiseKind::Rademacher => {
                let units = elements.div_ceil(signs::WEIGHTS_OF_CUBE) * signs::UNITS;
                let cube_dim = CubeDim::new_1d(signs::UNITS as u32);
                let cubes = calculate_cube_count_elemwise(&client, units, cube_dim);
                signs::add_noise::launch_unchecked::<R>(
                    &client, cubes, cube_dim, weights, words, low, high, shift, dtype,
                );
            }
        }
    }
    tensor
}
