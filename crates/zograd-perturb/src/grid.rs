//! Exact steps: every weight and every increment a multiple of the same power of two.
//!
//! Adding a probe and taking it off again leaves a rounding error in f32. It vanishes if both summands are
//! multiples of some `g` and the sum stays below `2^24 g`: then the addition is exact, in any order. So
//! every term of a pass is rounded to its nearest multiple `r(c z)` on its own, and the weights at a
//! direction are `theta + sum_k r(eps a_k z_k)`: a function of where the model is, not of how it got there.
//! Probes restore to the bit, restore and update fuse freely, and any number of updates can be merged into
//! one pass.
//!
//! The rounding costs nothing: the sum of a pass starts at a base `1.5 * 2^23 g`, where neighbouring f32
//! numbers are `g` apart, so the fused multiply-add that adds a term rounds it; the base is taken off at
//! the end. That this is the rounding of each term by itself needs that no term lies half-way between two
//! multiples, where the tie would be broken by the sum. Coefficients whose last mantissa bit is set see to
//! that: the last set bit of `c z` is then too far below its first one to be that of `g / 2`.

use crate::noise::LARGEST_NOISE;
use serde::{Deserialize, Serialize};

/// The finest grid. Weights below one half are at home there, and f16's numbers below it are on it.
const FINEST: i32 = -24;

/// Room for probes: the sum of the coefficients' magnitudes of a hop, in units of `eps`.
const PROBES: f64 = 16.0;

/// Room for updates: the same, in units of the learning rate. Projected gradients of some tens are usual.
const UPDATES: f64 = 100.0;

/// No room is made for longer updates than this, in standard deviations of a weight: whatever wants them has diverged.
const LONGEST_UPDATE: f64 = 16.0;

/// How weights are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Arithmetic {
    /// Every pass rounds in the weights' own type: a probe cycle leaves some rounding behind.
    #[default]
    Plain,
    /// As plain, for 16-bit weights with an [`Originals`](crate::Originals): now and then they become the rounded f32 originals
    /// again.
    Anchored,
    /// On a [`Grid`], f32 only: no rounding is left behind, and updates can be merged.
    Exact,
}

/// A power of two `g`, of which every weight of a tensor is a multiple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    exponent: i32,
}

impl Grid {
    /// The finest grid on which weights of at most `largest` in magnitude can double, and probes of scale `eps` and
    /// updates with the learning rate `lr` have room.
    pub fn holding(largest: f64, eps: f64, lr: f64) -> Self {
        Self::holding_noise(largest, 1.0, eps, lr)
    }

    /// The same, for noise that may be so many times larger than dense noise.
    pub(crate) fn holding_noise(largest: f64, amplitude: f64, eps: f64, lr: f64) -> Self {
        let noise = amplitude * LARGEST_NOISE;
        let hop = (PROBES * eps).max((UPDATES * lr).min(LONGEST_UPDATE)) * noise;
        let fits = |e: i32| {
            let grid = Self { exponent: e };
            2.0 * largest <= grid.range() && hop <= grid.longest_hop()
        };
        // f32's exponents end at 127
        let exponent = (FINEST..100).find(|e| fits(*e)).unwrap_or(100);
        Self { exponent }
    }

    /// `g`.
    pub fn spacing(self) -> f64 {
        2f64.powi(self.exponent)
    }

    /// Sums of weights and noise must stay below this: `2^24 g`.
    pub fn range(self) -> f64 {
        2f64.powi(24 + self.exponent)
    }

    /// Weights must stay below this, so that they are below [`Self::range`] after any hop as well.
    pub fn limit(self) -> f64 {
        self.range() - self.longest_hop()
    }

    /// The sum of a pass must stay within this of the base: `2^22 g`.
    pub(crate) fn longest_hop(self) -> f64 {
        2f64.powi(22 + self.exponent)
    }

    /// Where f32 numbers are `g` apart, with the most room on both sides.
    pub(crate) fn base(self) -> f32 {
        1.5 * 2f32.powi(23 + self.exponent)
    }
}

/// `c` with the last bit of its mantissa set; see the module.
pub(crate) fn odd(c: f32) -> f32 {
    match c {
        0.0 => 0.0,
        c => f32::from_bits(c.to_bits() | 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grid_has_room_for_weights_and_probes() {
        for (largest, eps, lr, exponent) in [
            (0.0, 1e-3, 1e-6, -24),
            (0.5, 1e-3, 1e-4, -24),
            (0.51, 1e-3, 1e-6, -23),
            (3.0, 1e-3, 0.0, -21),
            (0.1, 1.0, 1e-6, -16),
            (0.0, 1e-2, 1e-2, -20),
            (0.0, 1e-3, 1e30, -16),
        ] {
            let grid = Grid::holding(largest, eps, lr);
            assert_eq!(grid.exponent, exponent, "{largest} {eps} {lr}");
        }
        let far = Grid::holding(f64::INFINITY, 1e-3, 0.0);
        assert!(far.base().is_finite());
    }

    proptest! {
        /// Adding to the base, in any order, is rounding each term by itself.
        #[test]
        fn terms_are_rounded_one_by_one(
            exponent in FINEST..0,
            terms in prop::collection::vec((-0.02f32..0.02, -97i8..=97), 1..9),
        ) {
            let grid = Grid { exponent };
            let (g, base) = (grid.spacing(), grid.base());
            // the normals are such multiples of 1/32
            let mut ordered: Vec<(f32, f32)> =
                terms.into_iter().map(|(c, z)| (c, f32::from(z) / 32.0)).collect();
            let sum = |terms: &[(f32, f32)]| {
                terms.iter().fold(base, |s, (c, z)| odd(*c).mul_add(*z, s)) - base
            };
            let one_by_one: f64 = ordered
                .iter()
                .map(|(c, z)| (f64::from(odd(*c)) * f64::from(*z) / g).round() * g)
                .sum();
            prop_assert_eq!(f64::from(sum(&ordered)), one_by_one);
            ordered.reverse();
            prop_assert_eq!(f64::from(sum(&ordered)), one_by_one);
        }
    }
}
