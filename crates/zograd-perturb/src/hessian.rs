//! An estimate of the diagonal of the Hessian, and the noise that it shapes.

use crate::ParameterSpec;
use crate::kept::{Kept, Numbers};
use crate::values::Values;
use std::sync::Arc;
use zograd_direction::Curvature;

/// `H` stays within these: no noise becomes more than eight times what it was, for which exact steps have room, and none is
/// lost.
const LOWEST: f32 = 1.0 / 64.0;
const HIGHEST: f32 = (1 << 20) as f32;

/// `H - 1`, which near its beginning is finer in f32 than `H` is, with the largest `1 / sqrt(H)` and the mean of `1 / H`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hessian(Kept);

impl Hessian {
    /// `values / sqrt(H)`.
    pub(crate) fn shaped(
        &self,
        parameter: &ParameterSpec,
        values: Arc<dyn Values>,
    ) -> Arc<dyn Values> {
        match self.0.of(parameter) {
            None => values,
            Some(above_one) => Arc::new(Shaped {
                values,
                above_one: Arc::clone(above_one),
            }),
        }
    }

    /// How much larger noise may be here than without.
    pub(crate) fn largest(&self, parameter: &ParameterSpec) -> f64 {
        self.0.of(parameter).map_or(1.0, |of| of.largest)
    }

    /// The mean square of what noise is divided by, inverted.
    pub(crate) fn mean_square(&self, parameter: &ParameterSpec) -> f64 {
        self.0.of(parameter).map_or(1.0, |of| of.mean_square)
    }

    /// `H` of a parameter.
    pub(crate) fn of(&self, parameter: &ParameterSpec) -> Option<Vec<f32>> {
        let above_one = &self.0.of(parameter)?.each;
        Some(above_one.iter().map(|h| 1.0 + h).collect())
    }

    /// Takes up what was learnt along this noise, which is that without `H`.
    pub(crate) fn learn(
        &mut self,
        parameter: &ParameterSpec,
        noise: &dyn Values,
        curvature: &Curvature,
    ) {
        let along = curvature.along.min(f64::from(f32::MAX)) as f32;
        let share = curvature.share as f32;
        let (numbers, found) = self.0.change(parameter, |start, above_one| {
            let mut z = vec![0.0; above_one.len()];
            noise.fill(start, &mut z);
            let (mut lowest, mut sum) = (HIGHEST, 0.0);
            for (above_one, z) in above_one.iter_mut().zip(z) {
                let rise = share * (along * (z * z) - 1.0);
                let risen = *above_one + (1.0 + *above_one) * rise;
                *above_one = risen.clamp(LOWEST - 1.0, HIGHEST - 1.0);
                let h = 1.0 + *above_one;
                lowest = h.min(lowest);
                sum += 1.0 / f64::from(h);
            }
            (lowest, sum)
        });
        let lowest = found.iter().map(|(lowest, _)| *lowest);
        // rounded up: what a division and a root round may be a little more
        numbers.largest = f64::from(lowest.fold(HIGHEST, f32::min)).sqrt().recip() * (1.0 + 1e-6);
        let sum: f64 = found.iter().map(|(_, sum)| sum).sum();
        numbers.mean_square = sum / parameter.len().max(1) as f64;
    }
}

/// Numbers divided by the roots of `H`.
#[derive(Debug)]
struct Shaped {
    values: Arc<dyn Values>,
    above_one: Arc<Numbers>,
}

impl Values for Shaped {
    fn fill(&self, start: usize, out: &mut [f32]) {
        self.values.fill(start, out);
        let above_one = &self.above_one.each[start..];
        // both operations are rounded correctly on every machine
        for (value, above_one) in out.iter_mut().zip(above_one) {
            *value /= (1.0 + above_one).sqrt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::PIECE;
    use burn::tensor::DType;
    use zograd_direction::Seed;

    /// 0, 1, 2, 3, 0, ...
    #[derive(Debug)]
    struct Counting;

    impl Values for Counting {
        fn fill(&self, start: usize, out: &mut [f32]) {
            for (i, value) in (start..).zip(out) {
                *value = (i % 4) as f32;
            }
        }
    }

    fn learnt(len: usize, share: f64, along: &[f64]) -> (Hessian, ParameterSpec) {
        let parameter = ParameterSpec::new("w".into(), vec![len], DType::F32);
        let mut hessian = Hessian::default();
        for along in along {
            let curvature = Curvature::new(Seed::new(1), *along, share);
            hessian.learn(&parameter, &Counting, &curvature);
        }
        (hessian, parameter)
    }

    /// `(1 - share) H + share along H z^2`, by hand, over the ends of pieces.
    #[test]
    fn the_estimate_is_that_of_the_formula() {
        let len = 2 * PIECE + 5;
        let (hessian, w) = learnt(len, 0.25, &[2.0, 0.5]);
        // factors 0.75 + 0.5 z^2 and 0.75 + 0.125 z^2
        let expected = [0.5625, 1.25 * 0.875, 2.75 * 1.25, 5.25 * 1.875];
        let found = hessian.of(&w).expect("learnt");
        assert!((0..len).all(|i| found[i] == expected[i % 4]));
        let largest = hessian.largest(&w);
        assert!((largest - 1.0 / 0.75).abs() < 1e-5, "{largest}");
        let mean = (0..len)
            .map(|i| 1.0 / f64::from(expected[i % 4]))
            .sum::<f64>()
            / len as f64;
        assert!((hessian.mean_square(&w) - mean).abs() < 1e-12);
        // and noise is divided by its root, from wherever it is asked for
        let shaped = hessian.shaped(&w, Arc::new(Counting));
        let mut piece = vec![0.0; 7];
        shaped.fill(PIECE - 3, &mut piece);
        for (i, value) in (PIECE - 3..).zip(piece) {
            let by_hand = (i % 4) as f32 / expected[i % 4].sqrt();
            assert!((value - by_hand).abs() <= f32::EPSILON * by_hand);
        }
    }

    /// A share far below the rounding of a number near 1 adds up all the same.
    #[test]
    fn small_shares_add_up() {
        let (hessian, w) = learnt(4, 1e-9, &[2.0; 1000]);
        let found = hessian.0.of(&w).expect("learnt").each.clone();
        for (z, found) in found.into_iter().enumerate() {
            let factor = 1.0 + 1e-9 * (2.0 * (z * z) as f64 - 1.0);
            let expected = factor.powi(1000) - 1.0;
            // a rounding of f32 a step at most, of the sum so far
            let error = (f64::from(found) - expected).abs();
            assert!(error <= 1e-4 * expected.abs(), "{z}: {found}, {expected}");
        }
    }

    #[test]
    fn the_estimate_stays_within_bounds() {
        let (hessian, w) = learnt(4, 0.9, &[1e30, 1e30, 0.0, 1e30]);
        assert!(
            hessian
                .of(&w)
                .expect("learnt")
                .iter()
                .all(|h| h.is_finite())
        );
        assert!(hessian.largest(&w) <= 8.0 * (1.0 + 1e-6));
    }
}
