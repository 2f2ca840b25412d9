//! Weight decay towards the start weights.
//!
//! A weight comes nearer to where it started by a share of the distance, which is often far below the spacing of the
//! numbers around it: of the grid, or without one of those that its type has there. So, as for
//! [decay towards zero](super::decay), a whole number of spacings is taken off, and an offset makes it one more at some steps
//! and one less at others. It is never less than none and never more than the distance: no step leads away from the start, or past it.

use super::Decay;
use crate::Grid;
use burn::tensor::{DType, Element, ElementConversion};
use rayon::prelude::*;

/// What a pass takes off the distances of a parameter's weights to where they started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pull {
    share: f64,
    /// In spacings, from -1/2 to 1/2.
    offset: f64,
    spacing: Spacing,
}

/// How far numbers are apart.
#[derive(Clone, Copy, Debug)]
enum Spacing {
    Grid(f64),
    /// Those of a type with so many binary digits, whose smallest normal number has this exponent.
    Type {
        digits: i32,
        smallest: i32,
    },
}

impl Spacing {
    fn of(dtype: DType, grid: Option<Grid>) -> Self {
        let (digits, smallest) = match (grid, dtype) {
            (Some(grid), _) => return Self::Grid(grid.spacing()),
            (None, DType::F16) => (11, -14),
            (None, DType::BF16) => (8, -126),
            (None, DType::F64) => (53, -126),
            (None, _) => (24, -126),
        };
        Self::Type { digits, smallest }
    }

    fn at(self, weight: f64) -> f64 {
        match self {
            Self::Grid(spacing) => spacing,
            Self::Type { digits, smallest } => {
                let exponent = (weight.to_bits() >> 52 & 0x7ff) as i32 - 1023;
                2f64.powi(exponent.max(smallest) + 1 - digits)
            }
        }
    }
}

impl Pull {
    /// That of `decay` on a parameter of this type.
    pub(crate) fn of(decay: Decay, dtype: DType, grid: Option<Grid>) -> Self {
        Self {
            share: decay.shrink.into(),
            offset: decay.offset(),
            spacing: Spacing::of(dtype, grid),
        }
    }

    /// Pulls `weights`, which started from `start`, as many of them as that has.
    pub(crate) fn over<W: Element>(self, weights: &mut [W], start: &[f32]) {
        if self.share == 0.0 {
            return;
        }
        let pairs = weights.par_iter_mut().zip(start).with_min_len(1 << 12);
        pairs.for_each(|(weight, start)| {
            *weight = self.pulled(weight.elem(), (*start).into()).elem();
        });
    }

    fn pulled(self, weight: f64, start: f64) -> f64 {
        let spacing = self.spacing.at(weight);
        let distance = (weight - start) / spacing;
        let off = (distance * self.share + self.offset).round_ties_even();
        weight - off.clamp(distance.min(0.0), distance.max(0.0)) * spacing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};
    use proptest::prelude::*;

    fn pull(share: f32, step: u64, dtype: DType, grid: Option<Grid>) -> Pull {
        Pull::of(Decay::at(share, step), dtype, grid)
    }

    /// The distances before each of the steps and after the last.
    fn distances<W: Element>(
        (weight, start): (W, W),
        share: f32,
        steps: u64,
        grid: Option<Grid>,
    ) -> Vec<f64> {
        let (mut weights, start) = ([weight], start.elem::<f32>());
        let distance = |w: W| (w.elem::<f64>() - f64::from(start)).abs();
        let mut distances = vec![distance(weight)];
        for step in 0..steps {
            pull(share, step, W::dtype(), grid).over(&mut weights, &[start]);
            distances.push(distance(weights[0]));
        }
        distances
    }

    /// `spacing`: of numbers between 1 and 2, if they are on no grid.
    fn check<W: Element>(
        ends: (W, W),
        share: f32,
        grid: Option<Grid>,
        spacing: f64,
    ) -> Result<(), TestCaseError> {
        let pulled = distances(ends, share, 200, grid);
        prop_assert!(pulled.is_sorted_by(|a, b| a >= b), "{pulled:?}");
        let back = distances(ends, 1.0, 1, grid)[1];
        prop_assert!(back <= spacing * ends.0.elem::<f64>().abs(), "{back:?}");
        Ok(())
    }

    proptest! {
        /// No step leads away from the start, whatever the numbers; and the whole share leads there: to the bit on a grid, else
        /// within a spacing.
        #[test]
        fn weights_come_back_and_never_pass_the_start(
            weight in -2f32..2.0,
            start in prop_oneof![-2f32..2.0, -1e-3f32..1e-3, Just(0.0)],
            share in 0f32..1.0,
        ) {
            check((weight, start), share, None, f32::EPSILON.into())?;
            let narrow = [weight, start].map(bf16::from_f32);
            check((narrow[0], narrow[1]), share, None, bf16::EPSILON.into())?;
            let narrow = [weight, start].map(f16::from_f32);
            // f16's smallest numbers are as far apart as those near 2^-14
            let spacing = f64::from(f16::EPSILON).max(2f64.powi(-24) / narrow[0].to_f64().abs());
            check((narrow[0], narrow[1]), share, None, spacing)?;
            let grid = Grid::holding(2.0, 1e-3, 0.0);
            let on_grid = |w: f32| ((f64::from(w) / grid.spacing()).round() * grid.spacing()) as f32;
            check((on_grid(weight), on_grid(start)), share, Some(grid), 0.0)?;
        }
    }

    /// A share far below the spacing of the numbers adds up: what is left after n steps is `(1 - share)^n` of the distance.
    #[test]
    fn small_shares_add_up() {
        // 800 spacings of f32 numbers near 1, of which a step takes 0.08
        let (start, share, steps) = (1.0f32, 1e-4f32, 10_000u64);
        let weight = start + 800.0 * f32::EPSILON;
        let left = distances((weight, start), share, steps, None)[steps as usize];
        let theory = 800.0 * (1.0 - f64::from(share)).powi(steps as i32);
        let off = left / f64::from(f32::EPSILON) - theory;
        // four spacings, as the roundings of decay towards zero are off at most
        assert!(off.abs() <= 4.0, "{left} and {theory}");
    }

    /// These numbers are part of every log with decay towards the start.
    #[test]
    fn value_stability() {
        let pulled = |step, dtype| pull(0.3, step, dtype, None).pulled(1.25, 1.0);
        assert_eq!(pulled(0, DType::BF16), 1.25 - 10.0 / 128.0);
        assert_eq!(pulled(1, DType::BF16), 1.25 - 9.0 / 128.0);
        assert_eq!(pulled(2, DType::BF16), 1.25 - 10.0 / 128.0);
    }
}
