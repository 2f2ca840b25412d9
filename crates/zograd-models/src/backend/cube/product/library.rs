//! Products by cubek's kernels, by name. All of them have one buffer: of those with two, some gave wrong results for few
//! terms (docs/src/gpu.md).

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::permute;
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::components::tile::TileMatmulKind;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::{Strategy, launch_ref};
use cubek::matmul::routines::BlueprintStrategy;
use cubek::matmul::routines::simple::SimpleArgs;
use cubek::std::InputBinding;

use super::empty;

/// `x W^T` in f32 of factors of 16 bits, whose products tensor cores add up in f32; `None` on a device without.
pub(super) fn on_tensor_cores<R: CubeRuntime>(
    x: &CubeTensor<R>,
    weight: &CubeTensor<R>,
) -> Option<CubeTensor<R>> {
    let strategy = Strategy::SimpleCyclicCmma(BlueprintStrategy::Inferred(SimpleArgs {
        multi_rows: true,
        tile_matmul: TileMatmulKind::Cmma,
    }));
    launch(&strategy, x, weight).ok()
}

/// `x W^T` in f32, of any factors and shapes.
///
/// # Panics
/// The device cannot hold these dtypes.
pub(super) fn naive<R: CubeRuntime>(x: &CubeTensor<R>, weight: &CubeTensor<R>) -> CubeTensor<R> {
    match launch(&Strategy::Naive, x, weight) {
        Ok(y) => y,
        Err(refusal) => panic!(
            "{:?} and {:?} cannot be multiplied here: {refusal}",
            x.dtype, weight.dtype
        ),
    }
}

fn launch<R: CubeRuntime>(
    strategy: &Strategy,
    x: &CubeTensor<R>,
    weight: &CubeTensor<R>,
) -> Result<CubeTensor<R>, String> {
    let shape = vec![x.meta.shape()[0], weight.meta.shape()[0]];
    let y = empty(x, shape, DType::F32);
    // the rows of W are the columns of W^T: nothing is moved
    let columns = permute(weight.clone(), &[1, 0]);
    let mut dtypes = MatmulElems::from_globals(&MatmulGlobalElems {
        lhs: x.dtype.into(),
        rhs: columns.dtype.into(),
        out: y.dtype.into(),
    });
    let input =
        |tensor: &CubeTensor<R>| InputBinding::new(tensor.clone().binding(), tensor.dtype.into());
    launch_ref(
        strategy,
        &y.client,
        input(x),
        input(&columns),
        y.clone().binding(),
        &mut dtypes,
    )
    .map_err(|refusal| format!("{refusal:?}"))?;
    Ok(y)
}
