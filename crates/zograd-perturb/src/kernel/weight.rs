use super::Shift;
use crate::vector::{Row, Vector};
use half::{bf16, f16};

/// Weights that are moved together: four rows, which take a row of bytes or four bits of a row of words.
pub(super) type Tile<W> = [Row<W>; 4];

/// A tile that is moved, and room for what the opposite terms make of it, if that is wanted.
pub(crate) struct Moving<'t, W> {
    pub tile: &'t mut Tile<W>,
    pub opposite: Option<&'t mut Tile<W>>,
}

impl<W> Moving<'_, W> {
    /// The same, for a while.
    #[inline(always)]
    pub(super) fn again(&mut self) -> Moving<'_, W> {
        Moving {
            tile: self.tile,
            opposite: self.opposite.as_deref_mut(),
        }
    }
}

/// A type weights are stored in.
pub(crate) trait Weight: Copy + Send + Sync + PartialEq + std::fmt::Debug {
    /// `self + (fma(-shrink, self + dither, sum) - base)`, computed in f32 (f64 for f64), then rounded to the type.
    ///
    /// Not `(1 - shrink) * self + sum`: the decay of a step, lr * lambda, is often below the distance of
    /// 1 to its neighbour in f32.
    fn moved(self, shift: Shift, sum: f32) -> Self;

    /// Moves the columns of a tile from `lane` on, as many as the registers have lanes, or leaves their sums to
    /// [`Self::move_tile`]. An `opposite` gets what the sums of the opposite terms make of the same weights; then `shrink` is 0.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and `lane` is one of its lanes: see [`Vector`].
    #[inline(always)]
    unsafe fn move_lanes<V: Vector>(
        _: Moving<'_, Self>,
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
    fn move_tile(Moving { tile, opposite }: Moving<'_, Self>, shift: Shift, left: &Tile<f32>) {
        if let Some(opposite) = opposite {
            let places = opposite.as_flattened_mut().iter_mut();
            let pairs = tile.as_flattened().iter().zip(left.as_flattened());
            for (place, (weight, sum)) in places.zip(pairs) {
                *place = weight.moved(shift, shift.opposite(*sum));
            }
        }
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
        Moving { tile, mut opposite }: Moving<'_, Self>,
        lane: usize,
        shift: Shift,
        sums: [V::Floats; 4],
        _: &mut Tile<f32>,
    ) {
        for (number, (row, sums)) in tile.iter_mut().zip(sums).enumerate() {
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
                if let Some(opposite) = &mut opposite {
                    // not `old - step`, which makes another zero of -0 and 0
                    let step = V::minus(V::splat_float(0.0), step);
                    V::store_floats(V::plus(old, step), &mut opposite[number], lane);
                }
            }
        }
    }

    #[inline(always)]
    fn move_tile(_: Moving<'_, Self>, _: Shift, _: &Tile<f32>) {}
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
