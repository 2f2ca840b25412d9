//! Matrix products on CUDA by each of the ways that burn may take: what autotune picks, and products in true f32.

use anyhow::{Result, anyhow};
use burn::tensor::backend::{Backend, BackendTypes};
use burn::tensor::{DType, Distribution, Tensor, TensorPrimitive};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::cuda::CudaRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::components::tile::TileMatmulKind;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::{Strategy, launch_ref};
use cubek::matmul::routines::double_unit::DoubleUnitSelectionArgs;
use cubek::matmul::routines::simple::SimpleArgs;
use cubek::matmul::routines::simple_unit::SimpleUnitSelectionArgs;
use cubek::matmul::routines::{BlueprintStrategy, TileSizeSelection};
use cubek::std::InputBinding;
use serde::Serialize;
use std::time::Instant;

use crate::median;

type B = CubeBackend<CudaRuntime, f32, i32, u8>;

/// One way to multiply `[m, k]` by the transpose of `[n, k]`.
#[derive(Debug, Serialize)]
pub struct Product {
    /// `autotune`, or the name of a kernel.
    pub way: String,
    /// Its element type.
    pub dtype: String,
    /// Rows, columns and terms.
    pub shape: [usize; 3],
    /// Operations a second, by the median.
    pub flops: f64,
    /// `|found - exact| / |exact|` over a part of the rows, exact in f64 from the same factors.
    pub error: f64,
}

/// Times every way on the shapes of OPT's linear layers, and looks at some odd ones.
///
/// # Errors
/// The device failed.
pub fn measure(repeats: usize) -> Result<Vec<Product>> {
    let mut found = Vec::new();
    for shape in SHAPES {
        for dtype in [DType::F32, DType::F16] {
            found.push(product("autotune", dtype, shape, repeats, |x, w| {
                Ok(x.matmul(w.transpose()))
            })?);
            let strategies = if dtype == DType::F32 {
                exact()
            } else {
                accelerated()
            };
            for strategy in strategies {
                let way = strategy.to_string();
                match product(&way, dtype, shape, repeats, |x, w| by(&strategy, x, w)) {
                    Ok(product) => found.push(product),
                    Err(error) => log::warn!("{way} {shape:?}: {error:#}"),
                }
            }
        }
    }
    Ok(found)
}

/// Rows, columns and terms: of OPT-125m and OPT-1.3B, and small ones.
const SHAPES: [[usize; 3]; 14] = [
    [4096, 4096, 4096],
    [256, 2048, 2048],
    [256, 8192, 2048],
    [256, 2048, 8192],
    [4096, 8192, 2048],
    [232, 768, 768],
    [232, 3072, 768],
    [232, 768, 3072],
    [16, 50272, 768],
    [1, 768, 768],
    [2, 768, 768],
    [5, 512, 32],
    [38, 512, 32],
    [130, 100, 36],
];

/// Kernels that multiply in f32.
fn exact() -> Vec<Strategy> {
    use TileSizeSelection::{MaxTileSize, MinTileSize};
    let mut strategies = vec![
        Strategy::Naive,
        Strategy::SimpleVecMat(BlueprintStrategy::Inferred(().into())),
        Strategy::GemvPlaneParallel(BlueprintStrategy::Inferred(Default::default())),
        Strategy::GemvUnitPerpendicular(BlueprintStrategy::Inferred(Default::default())),
    ];
    for tile_size in [MaxTileSize, MinTileSize] {
        let args = SimpleUnitSelectionArgs { tile_size };
        strategies.push(Strategy::SimpleUnit(BlueprintStrategy::Inferred(args)));
        let args = DoubleUnitSelectionArgs { tile_size };
        strategies.push(Strategy::DoubleUnit(BlueprintStrategy::Inferred(args)));
    }
    strategies
}

/// Kernels on tensor cores.
fn accelerated() -> Vec<Strategy> {
    let mut strategies = Vec::new();
    for multi_rows in [false, true] {
        let args = |tile_matmul| {
            BlueprintStrategy::Inferred(SimpleArgs {
                multi_rows,
                tile_matmul,
            })
        };
        strategies.push(Strategy::SimpleCyclicCmma(args(TileMatmulKind::Cmma)));
        strategies.push(Strategy::SimpleCyclicMma(args(TileMatmulKind::Mma)));
    }
    strategies.push(Strategy::SimpleTmaMma(BlueprintStrategy::Inferred(
        SimpleArgs {
            multi_rows: false,
            tile_matmul: TileMatmulKind::Mma,
        },
    )));
    strategies.push(Strategy::SimpleTmaCmma(BlueprintStrategy::Inferred(
        SimpleArgs {
            multi_rows: false,
            tile_matmul: TileMatmulKind::Cmma,
        },
    )));
    strategies
}

fn product(
    way: &str,
    dtype: DType,
    shape: [usize; 3],
    repeats: usize,
    multiply: impl Fn(Tensor<B, 2>, Tensor<B, 2>) -> Result<Tensor<B, 2>>,
) -> Result<Product> {
    let [m, n, k] = shape;
    let device = <B as BackendTypes>::Device::default();
    let random =
        |shape| Tensor::<B, 2>::random(shape, Distribution::Normal(0.0, 1.0), &device).cast(dtype);
    let (x, w) = (random([m, k]), random([n, k]));
    let mut y = multiply(x.clone(), w.clone())?;
    B::sync(&device)?;
    let mut times = Vec::new();
    for _ in 0..repeats {
        let start = Instant::now();
        y = multiply(x.clone(), w.clone())?;
        B::sync(&device)?;
        times.push(start.elapsed().as_secs_f64());
    }
    let rows = 4.min(m);
    let host = |tensor: Tensor<B, 2>| -> Vec<f64> { tensor.into_data().iter::<f64>().collect() };
    let (a, b) = (host(x.slice([0..rows, 0..k])), host(w));
    let found = host(y.slice([0..rows, 0..n]));
    let (mut off, mut all) = (0.0, 0.0);
    for (i, found) in found.iter().enumerate() {
        let (a, b) = (&a[i / n * k..][..k], &b[i % n * k..][..k]);
        let exact: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        off += (found - exact).powi(2);
        all += exact.powi(2);
    }
    Ok(Product {
        way: way.to_owned(),
        dtype: format!("{dtype:?}"),
        shape,
        flops: 2.0 * (m * n * k) as f64 / median(&times),
        error: (off / all).sqrt(),
    })
}

fn by(strategy: &Strategy, x: Tensor<B, 2>, w: Tensor<B, 2>) -> Result<Tensor<B, 2>> {
    let y = Tensor::<B, 2>::empty([x.dims()[0], w.dims()[0]], (&x.device(), x.dtype()));
    let primitive =
        |tensor: Tensor<B, 2>| -> CubeTensor<CudaRuntime> { tensor.into_primitive().tensor() };
    let (x, w, y) = (primitive(x), primitive(w.transpose()), primitive(y));
    let dtype = x.dtype.into();
    let mut dtypes = MatmulElems::from_globals(&MatmulGlobalElems {
        lhs: dtype,
        rhs: dtype,
        out: dtype,
    });
    let client = y.client.clone();
    let input = |tensor: CubeTensor<CudaRuntime>| InputBinding::new(tensor.binding(), dtype);
    launch_ref(
        strategy,
        &client,
        input(x),
        input(w),
        y.clone().binding(),
        &mut dtypes,
    )
    .map_err(|error| anyhow!("{strategy}: {error:?}"))?;
    Ok(Tensor::from_primitive(TensorPrimitive::Float(y)))
}
