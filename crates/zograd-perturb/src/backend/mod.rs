use crate::values::Values;
use crate::{Grid, NoiseKind, TensorId};
use burn::tensor::TensorData;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use std::sync::Arc;
use zograd_direction::Seed;

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(any(feature = "cube", feature = "flex", feature = "ndarray"))]
mod host;
#[cfg(feature = "ndarray")]
mod ndarray;
mod rooms;
mod sides;

pub(crate) use rooms::AnyRooms;
pub use rooms::Rooms;
pub use sides::Sides;

/// Coefficients of smaller magnitude are 0: 2^-96.
const SMALLEST: f32 = f32::from_bits((127 - 96) << 23);

/// What one pass does to one tensor:
///
/// ```text
/// w[i] <- w[i] + (fma(-shrink, w[i] + dither, sum[i]) - base)
/// sum[i] = fma(c_n, z_n[i], .. fma(c_1, z_1[i], base))
/// ```
///
/// over the `terms`, and then over what is `made`.
///
/// All in f32 with fused multiply-adds in this order (f64 weights: what touches them in f64), then rounded
/// to the weight's type. Spelled out so that every backend computes the same bits. The base is 0, or that
/// of the [`Grid`]. A coefficient below 2^-96 in magnitude is 0: so no product with noise is a subnormal number, which
/// devices treat in several ways.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NoisePass<'a> {
    /// Whose noise.
    pub tensor: TensorId,
    /// Which noise.
    pub kind: NoiseKind,
    /// The streams, `(seed_k, c_k)`, in the order of addition. Neighbours of the same seed share their noise.
    pub terms: &'a [(Seed, f32)],
    /// What is not dense noise, with its coefficients, in the order of addition.
    pub made: &'a [(Arc<dyn Values>, f32)],
    /// Share of the weight itself that is taken off: 0, or `lr * weight_decay`.
    pub shrink: f32,
    /// Added to a weight before its share is taken: 0, or on a grid what keeps the rounding of decay from being the same
    /// at every step.
    pub dither: f32,
    /// The grid that increments are rounded to, term by term.
    pub grid: Option<Grid>,
}

impl<'a> NoisePass<'a> {
    /// The pass that adds these terms, without decay and without a grid.
    pub fn new(tensor: TensorId, kind: NoiseKind, terms: &'a [(Seed, f32)]) -> Self {
        Self {
            tensor,
            kind,
            terms,
            made: &[],
            shrink: 0.0,
            dither: 0.0,
            grid: None,
        }
    }

    /// A coefficient as it is multiplied by noise.
    pub(crate) fn coefficient(c: f32) -> f32 {
        if c.abs() < SMALLEST { 0.0 } else { c }
    }

    /// Where the sum of the terms starts.
    pub fn base(&self) -> f32 {
        self.grid.map_or(0.0, Grid::base)
    }
}

/// A burn backend that can add seeded noise to a tensor.
///
/// This is everything zeroth-order optimisation needs beyond a forward pass. An implementation never holds a noise
/// tensor, and produces the bits that [`NoisePass`] defines.
pub trait NoiseBackend: Backend {
    /// Whether [`Self::moved`] makes noise for the rows alone that it is asked for, so that a table may be made in parts.
    const MAKES_ROWS: bool = false;

    /// Applies `pass` to `tensor` and returns it: in the tensor's own memory if it has no other owner, else in that of a
    /// copy.
    ///
    /// # Panics
    /// If the tensor is none of f64, f32, f16 and bf16;
    /// [`ParameterSpace::select`](crate::ParameterSpace::select) refuses parameters of other types.
    fn add_noise(tensor: FloatTensor<Self>, pass: &NoisePass<'_>) -> FloatTensor<Self>;

    /// `tensor` as `pass` moves it, and as the opposite of `pass` does if `sides` says so, while `tensor` stays as it is.
    /// Of a table `[rows, width]` only the `rows` asked for, if there is such a list, in its order; then that is all that
    /// noise has to be made for. `pass` takes no share of the weights (its `shrink` is 0).
    ///
    /// What the `rooms` have lent and got back may be used again for what is made. The default makes copies and moves these,
    /// whole tables as well, and uses no rooms.
    ///
    /// # Panics
    /// As [`Self::add_noise`], or a row is not in the table.
    fn moved(
        tensor: &FloatTensor<Self>,
        rows: Option<&[u32]>,
        pass: &NoisePass<'_>,
        sides: Sides,
        _rooms: &mut Rooms<FloatTensor<Self>>,
    ) -> Vec<FloatTensor<Self>> {
        let terms: Vec<_> = pass.terms.iter().map(|(seed, c)| (*seed, -c)).collect();
        let made = pass.made.iter();
        let made: Vec<_> = made.map(|(values, c)| (Arc::clone(values), -c)).collect();
        let opposite = NoisePass {
            terms: &terms,
            made: &made,
            ..*pass
        };
        let device = Self::float_device(tensor);
        let passes = [pass, &opposite].into_iter().take(sides.count());
        let moved = passes.map(|pass| {
            let moved = Self::add_noise(tensor.clone(), pass);
            let Some(rows) = rows else {
                return moved;
            };
            let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
            let shape = [rows.len()];
            let rows = Self::int_from_data(TensorData::new(rows, shape), &device);
            Self::float_select(moved, 0, rows)
        });
        moved.collect()
    }
}
