//! GPUs: one kernel for every runtime of CubeCL, and its place in a fused stream of operations.

mod fusion;
mod kernel;
mod words;

use super::{NoiseBackend, NoisePass};
use burn::tensor::DType;
use burn::tensor::backend::{Backend, DeviceOps};
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::ComputeServer;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use kernel::ELEMENTS_PER_UNIT;

/// Bytes a unit reads or writes at a time, if the size of the tensor allows.
const VECTOR_BYTES: usize = 16;

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
        if pass.terms.is_empty() && pass.shrink == 0.0 {
            return tensor;
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
    let most = VECTOR_BYTES / tensor.dtype.size();
    let lanes = if elements.is_multiple_of(most) {
        most
    } else {
        1
    };
    let units = elements.div_ceil(ELEMENTS_PER_UNIT);
    let client = tensor.client.clone();
    let cube_dim = CubeDim::new(&client, units);
    let cube_count = calculate_cube_count_elemwise(&client, units, cube_dim);

    let words = words::of_terms(pass.terms);
    let len = words.len();
    let words = words::on_device(&tensor, words);
    let id = pass.tensor.value();
    // SAFETY: the buffer of `words` has their length, `tensor` is contiguous with `elements` elements,
    // and a unit checks the bounds of what it reads and writes in it.
    unsafe {
        kernel::add_noise::launch_unchecked::<R>(
            &client,
            cube_count,
            cube_dim,
            lanes,
            ArrayArg::from_raw_parts(tensor.handle.clone(), elements),
            ArrayArg::from_raw_parts(words, len),
            id as u32,
            (id >> 32) as u32,
            pass.shrink,
            pass.dither,
            pass.base(),
            pass.kind,
            tensor.dtype.into(),
        );
    }
    tensor
}
