//! GPUs: one kernel for every runtime of CubeCL, and its place in a fused stream of operations.

mod fusion;
mod kernel;

use super::{NoiseBackend, NoisePass};
use crate::noise::Normals;
use burn::tensor::DType;
use burn::tensor::backend::{Backend, DeviceOps};
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::ComputeServer;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use kernel::ELEMENTS_PER_UNIT;
use zograd_direction::Seed;

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

    // a pass that only shrinks: no buffer is empty
    let nothing = [(Seed::new(0), 0.0)];
    let terms = match pass.terms {
        [] => &nothing,
        terms => terms,
    };
    let words = |x: u64| [x as u32, (x >> 32) as u32];
    // two coefficients a stream, the second often 0: neighbours of the same seed share their noise
    let (mut seeds, mut coefficients) = (Vec::new(), Vec::new());
    for same in terms.chunk_by(|a, b| a.0 == b.0) {
        for pair in same.chunks(2) {
            seeds.extend(words(pair[0].0.value()));
            coefficients.extend([pair[0].1, pair.get(1).map_or(0.0, |second| second.1)]);
        }
    }
    let normals = Normals::get();
    let lines = [normals.intercept, normals.slope].concat();
    let [tensor_low, tensor_high] = words(pass.tensor.value());
    // SAFETY: a buffer made from a slice has its length, `tensor` is contiguous with `elements` elements,
    // and a unit checks the bounds of what it reads and writes in it.
    unsafe {
        let buffer =
            |bytes: &[u8], len| ArrayArg::from_raw_parts(client.create_from_slice(bytes), len);
        kernel::add_noise::launch_unchecked::<R>(
            &client,
            cube_count,
            cube_dim,
            lanes,
            ArrayArg::from_raw_parts(tensor.handle.clone(), elements),
            buffer(u32::as_bytes(&seeds), seeds.len()),
            buffer(f32::as_bytes(&coefficients), coefficients.len()),
            buffer(f32::as_bytes(&lines), lines.len()),
            tensor_low,
            tensor_high,
            pass.shrink,
            pass.dither,
            pass.base(),
            pass.kind,
            tensor.dtype.into(),
        );
    }
    tensor
}
