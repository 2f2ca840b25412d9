//! Matrix products whose kernel is chosen by the shapes alone.

mod kernel;
mod library;

use super::Product;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use kernel::{BLOCK, CUBE, LANES};

/// Cubes that keep a GPU busy: where the tiles of a result are fewer, their terms are shared out.
const CUBES: usize = 256;

/// Blocks of terms that are worth a cube of their own.
const LEAST_BLOCKS: usize = 8;

/// `x W^T + b`, rectified: what of it is asked for.
pub(super) fn product<R, B>(inputs: Product<B>) -> CubeTensor<R>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    let Product {
        x,
        weight,
        bias,
        rectified,
        out,
    } = inputs;
    let [x, weight] = [x, weight].map(into_contiguous);
    let shape = [x.meta.shape()[0], weight.meta.shape()[0]];
    let half = matches!(x.dtype, DType::F16 | DType::BF16) && x.dtype == weight.dtype;
    let terms = x.meta.shape()[1];
    let (sums, parts) = if half && let Some(sums) = library::on_tensor_cores(&x, &weight) {
        (sums, 1)
    } else if terms.is_multiple_of(LANES) {
        in_f32(&x, &weight)
    } else {
        (library::naive(&x, &weight), 1)
    };
    if parts == 1 && bias.is_none() && !rectified && out == DType::F32 {
        return sums;
    }
    let y = empty(&x, shape.to_vec(), out);
    finish(&sums, parts, bias.map(into_contiguous), rectified, &y);
    y
}

fn empty<R: CubeRuntime>(like: &CubeTensor<R>, shape: Vec<usize>, dtype: DType) -> CubeTensor<R> {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, Shape::from(shape), dtype)
}

fn bind<R: CubeRuntime>(tensor: &CubeTensor<R>) -> ArrayArg<R> {
    // SAFETY: the buffer of a tensor has room for its elements.
    unsafe { ArrayArg::from_raw_parts(tensor.handle.clone(), tensor.meta.num_elements()) }
}

/// The product in parts, `[parts, rows, columns]`, and their number; if that is 1, the product.
fn in_f32<R: CubeRuntime>(x: &CubeTensor<R>, weight: &CubeTensor<R>) -> (CubeTensor<R>, usize) {
    let (rows, terms) = (x.meta.shape()[0], x.meta.shape()[1]);
    let columns = weight.meta.shape()[0];
    let tiles = |[tile_rows, tile_columns]: [usize; 2]| {
        [rows.div_ceil(tile_rows), columns.div_ceil(tile_columns)]
    };
    let mut each = [8, 8];
    let mut grid = tiles(kernel::tile(each));
    if grid[0] * grid[1] < CUBES {
        each = [4, 4];
        grid = tiles(kernel::tile(each));
    }
    let blocks = terms.div_ceil(BLOCK);
    let wanted = CUBES.div_ceil(grid[0] * grid[1]);
    let parts = wanted.min(blocks / LEAST_BLOCKS).max(1);
    let blocks = blocks.div_ceil(parts);
    // a whole product is a matrix
    let shape = if parts == 1 {
        vec![rows, columns]
    } else {
        vec![parts, rows, columns]
    };
    let y = empty(x, shape, DType::F32);
    // SAFETY: `x` and `weight` are contiguous with whole vectors a row, `y` has `parts` times `rows` times `columns`
    // elements, and a unit reads and writes below these bounds alone.
    unsafe {
        kernel::product::launch_unchecked::<R>(
            &x.client,
            CubeCount::Static(grid[1] as u32, grid[0] as u32, parts as u32),
            CubeDim::new_1d(CUBE as u32),
            LANES,
            bind(x),
            bind(weight),
            bind(&y),
            rows as u32,
            columns as u32,
            terms as u32,
            blocks as u32,
            each[0],
            each[1],
            x.dtype.into(),
            weight.dtype.into(),
        );
    }
    (y, parts)
}

/// Adds the parts and the bias, and rectifies.
fn finish<R: CubeRuntime>(
    sums: &CubeTensor<R>,
    parts: usize,
    bias: Option<CubeTensor<R>>,
    rectified: bool,
    y: &CubeTensor<R>,
) {
    let elements = y.meta.num_elements();
    let columns = y.meta.shape()[1];
    let client = &y.client;
    let cube_dim = CubeDim::new(client, elements);
    let cube_count = calculate_cube_count_elemwise(client, elements, cube_dim);
    // without a bias the kernel reads none, but something has to be bound
    let of_bias = bias.as_ref().unwrap_or(sums);
    // SAFETY: `sums` has `parts` times the elements of `y`, a bias one for each column; a unit checks that its element is
    // one of `y`.
    unsafe {
        kernel::finish::launch_unchecked::<R>(
            client,
            cube_count,
            cube_dim,
            bind(sums),
            bind(of_bias),
            bind(y),
            elements as u32,
            columns as u32,
            parts as u32,
            bias.is_some(),
            rectified,
            y.dtype.into(),
            of_bias.dtype.into(),
        );
    }
}
