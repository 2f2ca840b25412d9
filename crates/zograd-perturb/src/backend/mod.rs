use crate::{Grid, NoiseKind, TensorId};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use zograd_direction::Seed;

#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "ndarray")]
mod ndarray;

/// Coefficients of smaller magnitude are 0: 2^-96.
const SMALLEST: f32 = f32::from_bits((127 - 96) << 23);

/// What one pass does to one tensor:
///
/// ```text
/// w[i] <- w[i] + (fma(-shrink, w[i] + dither, sum[i]) - base)
/// sum[i] = fma(c_n, z_n[i], .. fma(c_1, z_1[i], base))
/// ```
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

/// A burn backend that can add seeded noise to a tensor in place.
///
/// This is everything zeroth-order optimisation needs beyond a forward pass. An implementation
/// writes into the tensor's own memory when it is its only owner and copies it otherwise, never holds
/// a noise tensor, and produces the bits that [`NoisePass`] defines.
pub trait NoiseBackend: Backend {
    /// Applies `pass` to `tensor` and returns it.
    ///
    /// # Panics
    /// If the tensor is none of f64, f32, f16 and bf16;
    /// [`ParameterSpace::select`](crate::ParameterSpace::select) refuses parameters of other types.
    fn add_noise(tensor: FloatTensor<Self>, pass: &NoisePass<'_>) -> FloatTensor<Self>;
}
