use super::Shift;
use crate::vector::{Row, Vector};
use half::{bf16, f16};

/// Weights that are moved together: four rows, which take a row of bytes or four bits of a row of words.
pub(super) type Tile<W> = [Row<W>; 4];

/// A type weights are stored in.
pub(crate) trait Weight: Copy + Send + Sync + PartialEq + std::fmt::Debug {
    /// `self + (fma(-shrink, self + dither, sum) - base)`, computed in f32 (f64 for f64), then rounded to the type.
    ///
    /// Not `(1 - shrink) * self + sum`: the decay of a step, lr * lambda, is often below the distance of
    /// 1 to its neighbour in f32.
    fn moved(self, shift: Shift, sum: f32) -> Self;

    /// Moves the columns of a tile from `lane` on, as many as the registers have lanes, or leaves their sums to
    /// [`Self::move_tile`].
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and `lane` is one of its lanes: see [`Vector`].
    #[inline(always)]
    unsafe fn move_lanes<V: Vector>(
        _: &mut Tile<Self>,
        lane: usize,
        _: Shift,
        sums: [V::Floats; 4],
        left: &mut Tile<f32>,
    ) {
        for (row, sums) in left.iter_mut().zip(sums) {
            // SAFETY: by this function's conditions.
            unsafe { V::store_floats(sums, row, lane) };
        }
    }

    /// Moves a tile by the sums that were left: one loop, for the compiler to make vectors of.
    #[inline(always)]
    fn move_tile(tile: &mut Tile<Self>, shift: Shift, left: &Tile<f32>) {
        let pairs = tile.as_flattened_mut().iter_mut().zip(left.as_flattened());
        for (weight, sum) in pairs {
            *weight = weight.moved(shift, *sum);
        }
    }
}

impl Weight for f32 {
    #[inline(always)]
    fn moved(self, shift: Shift, sum: f32) -> Self {
        self + ((-shift.shrink).mul_add(self + shift.dither, sum) - shift.base)
    }

    #[inline(always)]
    unsafe fn move_lanes<V: Vector>(
        tile: &mut Tile<Self>,
        lane: usize,
        shift: Shift,
        sums: [V::Floats; 4],
        _: &mut Tile<f32>,
    ) {
        for (row, sums) in tile.iter_mut().zip(sums) {
            // SAFETY: by this function's conditions.
            unsafe {
                let old = V::load_floats(row, lane);
                // taking nothing off changes no finite number: not even the sign of a sum of 0, which is never -0
                let sums = match shift.shrink {
                    0.0 => sums,
                    shrink => {
                        let dithered = V::plus(old, V::splat_float(shift.dither));
                        V::fma(V::splat_float(-shrink), dithered, sums)
                    }
                };
                let step = V::minus(sums, V::splat_float(shift.base));
                V::store_floats(V::plus(old, step), row, lane);
            }
        }
    }

    #[inline(always)]
    fn move_tile(_: &mut Tile<Self>, _: Shift, _: &Tile<f32>) {}
}

impl Weight for f64 {
    #[inline(always)]
    fn moved(self, shift: Shift, sum: f32) -> Self {
        let dithered = self + f64::from(shift.dither);
        self + (f64::from(-shift.shrink).mul_add(dithered, f64::from(sum)) - f64::from(shift.base))
    }
}

impl Weight for f16 {
    #[inline(always)]
    fn moved(self, shift: Shift, sum: f32) -> Self {
        f16::from_f32(self.to_f32().moved(shift, sum))
    }
}

impl Weight for bf16 {
    #[inline(always)]
    fn moved(self, shift: Shift, sum: f32) -> Self {
        bf16::from_f32(self.to_f32().moved(shift, sum))
    }
}
