//! Matrix products in f32 as a CubeCL kernel: no tensor cores, so no rounding of factors.

// The cube macro writes functions and structures that have no documentation.
#![allow(missing_docs)]
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel takes each buffer and each number that its launch binds"
)]

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Units of a cube along the rows of the result.
const ROW_UNITS: usize = 8;

/// Units of a cube along its columns.
const COLUMN_UNITS: usize = 16;

/// Units of a cube.
pub(super) const CUBE: usize = ROW_UNITS * COLUMN_UNITS;

/// Numbers of a vector; the terms of a product are taken by whole vectors.
pub(super) const LANES: usize = 4;

/// Vectors of each row and column that a cube holds at a time.
const DEPTH: usize = 4;

/// Terms of a block: what a cube holds at a time.
pub(super) const BLOCK: usize = DEPTH * LANES;

/// Rows and columns of the result that a cube computes, if each of its units computes `each` of them.
pub(super) const fn tile(each: [usize; 2]) -> [usize; 2] {
    [ROW_UNITS * each[0], COLUMN_UNITS * each[1]]
}

/// `y[part] = x[.., part] W[.., part]^T`, where `part` (`CUBE_POS_Z`) is a run of `blocks` blocks of the terms: `x` is
/// `[rows, terms]`, `w` is `[columns, terms]`, `y` is `[parts, rows, columns]` in f32.
///
/// The terms of a part are added one after the other by fused multiply-adds, in four sums, one a lane: the bits depend on
/// the number of terms and of parts, not on the device.
#[cube(launch_unchecked)]
pub(super) fn product<X: Float, W: Float, N: Size>(
    x: &Array<Vector<X, N>>,
    w: &Array<Vector<W, N>>,
    y: &mut Array<f32>,
    rows: u32,
    columns: u32,
    terms: u32,
    blocks: u32,
    #[comptime] rows_each: usize,
    #[comptime] columns_each: usize,
    #[define(X)] _dtype_x: StorageType,
    #[define(W)] _dtype_w: StorageType,
) {
    let tile_rows = comptime!(ROW_UNITS * rows_each);
    let tile_columns = comptime!(COLUMN_UNITS * columns_each);
    // a vector more than there are, so that units which read one vector of many rows do not wait for one another
    let stride = comptime!(DEPTH + 1);
    let unit = UNIT_POS as usize;
    let (unit_row, unit_column) = (unit % ROW_UNITS, unit / ROW_UNITS);
    let first_row = CUBE_POS_Y as usize * tile_rows;
    let first_column = CUBE_POS_X as usize * tile_columns;
    let (rows, columns) = (rows as usize, columns as usize);
    let vectors = terms as usize / LANES;

    let mut a = SharedMemory::<Vector<f32, N>>::new(comptime!(tile_rows * (DEPTH + 1)));
    let mut b = SharedMemory::<Vector<f32, N>>::new(comptime!(tile_columns * (DEPTH + 1)));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(rows_each * columns_each));
    #[unroll]
    for i in 0..comptime!(rows_each * columns_each) {
        sums[i] = Vector::<f32, N>::empty().fill(0.0);
    }

    let start = CUBE_POS_Z as usize * blocks as usize * DEPTH;
    let end = clamp_max(start + blocks as usize * DEPTH, vectors);
    let mut block = start;
    while block < end {
        #[unroll]
        for i in 0..comptime!(tile_rows * DEPTH / CUBE) {
            let at = unit + comptime!(i * CUBE);
            let (row, vector) = (first_row + at / DEPTH, block + at % DEPTH);
            let mut value = Vector::<f32, N>::empty().fill(0.0);
            if row < rows && vector < end {
                value = Vector::<f32, N>::cast_from(x[row * vectors + vector]);
            }
            a[at / DEPTH * stride + at % DEPTH] = value;
        }
        #[unroll]
        for i in 0..comptime!(tile_columns * DEPTH / CUBE) {
            let at = unit + comptime!(i * CUBE);
            let (column, vector) = (first_column + at / DEPTH, block + at % DEPTH);
            let mut value = Vector::<f32, N>::empty().fill(0.0);
            if column < columns && vector < end {
                value = Vector::<f32, N>::cast_from(w[column * vectors + vector]);
            }
            b[at / DEPTH * stride + at % DEPTH] = value;
        }
        sync_cube();

        #[unroll]
        for vector in 0..DEPTH {
            let mut left = Array::<Vector<f32, N>>::new(rows_each);
            #[unroll]
            for i in 0..rows_each {
                left[i] = a[(unit_row + comptime!(i * ROW_UNITS)) * stride + vector];
            }
            #[unroll]
            for j in 0..columns_each {
                let right = b[(unit_column + comptime!(j * COLUMN_UNITS)) * stride + vector];
                #[unroll]
                for i in 0..rows_each {
                    let at = comptime!(i * columns_each + j);
                    sums[at] = fma(left[i], right, sums[at]);
                }
            }
        }
        sync_cube();
        block += DEPTH;
    }

    #[unroll]
    for i in 0..rows_each {
        #[unroll]
        for j in 0..columns_each {
            let row = first_row + unit_row + comptime!(i * ROW_UNITS);
            let column = first_column + unit_column + comptime!(j * COLUMN_UNITS);
            if row < rows && column < columns {
                let lanes = sums[comptime!(i * columns_each + j)];
                let mut sum = lanes[0];
                #[unroll]
                for lane in 1..LANES {
                    sum += lanes[lane];
                }
                y[(CUBE_POS_Z as usize * rows + row) * columns + column] = sum;
            }
        }
    }
}

/// `y = sum of the parts`, plus a bias `[columns]`, rectified: what of it is asked for. The parts are added first to last.
#[cube(launch_unchecked)]
pub(super) fn finish<Y: Float, W: Float>(
    parts: &Array<f32>,
    bias: &Array<W>,
    y: &mut Array<Y>,
    elements: u32,
    columns: u32,
    count: u32,
    #[comptime] biased: bool,
    #[comptime] rectified: bool,
    #[define(Y)] _dtype_y: StorageType,
    #[define(W)] _dtype_w: StorageType,
) {
    let at = ABSOLUTE_POS;
    let elements = elements as usize;
    if at >= elements {
        terminate!();
    }
    let mut sum = parts[at];
    for part in 1..count as usize {
        sum += parts[part * elements + at];
    }
    if biased {
        sum += f32::cast_from(bias[at % columns as usize]);
    }
    if rectified {
        // NaN stays NaN, so that a model that has broken down shows it
        if sum < 0.0 {
            sum = 0.0;
        }
    }
    y[at] = Y::cast_from(sum);
}
