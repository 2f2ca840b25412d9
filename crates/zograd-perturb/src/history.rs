//! The history `m` of a method with momentum, and the quotient that it moves weights by.

use crate::ParameterSpec;
use crate::kept::{Kept, Numbers};
use crate::noise::LARGEST_NOISE;
use crate::values::Values;
use std::sync::Arc;

/// What is added to `v` under the root.
const LITTLE: f32 = 1e-8;

/// No quotient becomes larger than dense noise, and no history more than four times as large: exact steps have room for
/// the way from one probe to the opposite one, whose coefficients add up to 4 with those of the draws.
const LARGEST_QUOTIENT: f32 = LARGEST_NOISE as f32;
const LARGEST_KEPT: f32 = 4.0 * LARGEST_QUOTIENT;

/// `m`, with its largest magnitude and its mean square.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Kept);

impl History {
    /// `m` of a parameter; nothing where it is 0 throughout.
    pub(crate) fn of(&self, parameter: &ParameterSpec) -> Option<&Arc<Numbers>> {
        self.0.of(parameter)
    }

    /// The largest of a parameter.
    pub(crate) fn largest(&self, parameter: &ParameterSpec) -> f64 {
        self.0.of(parameter).map_or(0.0, |of| of.largest)
    }

    /// The mean square of a parameter.
    pub(crate) fn mean_square(&self, parameter: &ParameterSpec) -> f64 {
        self.0.of(parameter).map_or(0.0, |of| of.mean_square)
    }

    /// `m` becomes the direction of these draws, or its opposite.
    pub(crate) fn learn(&mut self, parameter: &ParameterSpec, draws: &Draws, opposite: bool) {
        let (numbers, found) = self.0.change(parameter, |start, kept| {
            let drawn = draws.at(start, kept.len(), Some(kept));
            let (mut largest, mut sum) = (0f32, 0.0);
            for (kept, (along, _)) in kept.iter_mut().zip(drawn) {
                let along = if opposite { -along } else { along };
                *kept = along.clamp(-LARGEST_KEPT, LARGEST_KEPT);
                largest = largest.max(kept.abs());
                sum += f64::from(*kept) * f64::from(*kept);
            }
            (largest, sum)
        });
        let largest = found.iter().map(|(largest, _)| *largest);
        numbers.largest = f64::from(largest.fold(0.0, f32::max));
        let sum: f64 = found.iter().map(|(_, sum)| sum).sum();
        numbers.mean_square = sum / parameter.len().max(1) as f64;
    }
}

/// A direction on one parameter: its noise, and how much of `m` is in it.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    pub(crate) noise: Vec<(Arc<dyn Values>, f32)>,
    pub(crate) kept: f32,
}

impl Drawn {
    /// Its numbers from `start` on, where `m` is this, or 0.
    fn at(&self, start: usize, len: usize, kept: Option<&[f32]>) -> Vec<f32> {
        let mut sums = match kept {
            // 0 times what is below 0 would be -0, which is to be seen in the sum with another -0
            Some(kept) if self.kept != 0.0 => kept.iter().map(|m| self.kept * m).collect(),
            _ => vec![0.0; len],
        };
        let mut noise = vec![0.0; len];
        for (values, c) in &self.noise {
            values.fill(start, &mut noise);
            for (sum, z) in sums.iter_mut().zip(&noise) {
                *sum += c * z;
            }
        }
        sums
    }
}

/// The two draws of a step on one parameter ([`Momentum`](zograd_direction::Momentum)).
#[derive(Debug)]
pub(crate) struct Draws {
    pub(crate) fresh: Drawn,
    pub(crate) around: Drawn,
    pub(crate) first: f32,
    pub(crate) second: f32,
}

impl Draws {
    /// `m'` and `v` of the elements from `start` on, where `m` is this, or 0.
    fn at(
        &self,
        start: usize,
        len: usize,
        kept: Option<&[f32]>,
    ) -> impl Iterator<Item = (f32, f32)> + use<> {
        let fresh = self.fresh.at(start, len, kept);
        let around = self.around.at(start, len, kept);
        let (first, second) = (self.first, self.second);
        let pairs = fresh.into_iter().zip(around);
        pairs.map(move |(p, q)| {
            let along = first * p + (1.0 - first) * q;
            (along, second * (p * p) + (1.0 - second) * (q * q))
        })
    }
}

/// `m' / sqrt(v + 1e-8)`
#[derive(Debug)]
pub(crate) struct Quotient {
    pub(crate) draws: Draws,
    pub(crate) kept: Option<Arc<Numbers>>,
}

impl Values for Quotient {
    fn fill(&self, start: usize, out: &mut [f32]) {
        let kept = self.kept.as_ref();
        let kept = kept.map(|kept| &kept.each[start..start + out.len()]);
        let drawn = self.draws.at(start, out.len(), kept);
        // all of these operations are rounded correctly on every machine
        for (out, (along, v)) in out.iter_mut().zip(drawn) {
            let quotient = along / (v + LITTLE).sqrt();
            *out = quotient.clamp(-LARGEST_QUOTIENT, LARGEST_QUOTIENT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::PIECE;
    use burn::tensor::DType;

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

    fn draws(kept: f32) -> Draws {
        let noise = |c| vec![(Arc::new(Counting) as Arc<dyn Values>, c)];
        Draws {
            fresh: Drawn {
                noise: noise(0.5),
                kept: 0.0,
            },
            around: Drawn {
                noise: noise(-0.25),
                kept,
            },
            first: 0.75,
            second: 0.25,
        }
    }

    /// By hand, over the ends of pieces: `p = i/2`, `q = m - i/4`.
    #[test]
    fn history_and_quotient_are_those_of_the_formula() {
        let w = ParameterSpec::new("w".into(), vec![2 * PIECE + 5], DType::F32);
        let mut history = History::default();
        let mut m = [0f32; 4];
        for opposite in [false, true, false] {
            let kept = history.of(&w).cloned();
            let quotient = Quotient {
                draws: draws(1.0),
                kept,
            };
            let mut found = [0.0; 7];
            quotient.fill(PIECE - 3, &mut found);
            let pairs = [0, 1, 2, 3].map(|i| (0.5 * i as f32, m[i] - 0.25 * i as f32));
            let along = pairs.map(|(p, q)| 0.75 * p + 0.25 * q);
            let v = pairs.map(|(p, q)| 0.25 * p * p + 0.75 * q * q);
            for (i, found) in (PIECE - 3..).zip(found) {
                let expected = along[i % 4] / (v[i % 4] + 1e-8).sqrt();
                assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
            }
            history.learn(&w, &draws(1.0), opposite);
            m = along.map(|along| if opposite { -along } else { along });
            let found = &history.of(&w).expect("learnt").each;
            assert!((0..found.len()).all(|i| (found[i] - m[i % 4]).abs() < 1e-6));
            assert_eq!(history.largest(&w), f64::from(found[3].abs()));
        }
    }

    /// A history that grows for ever stops where exact steps have no more room, and no quotient is larger than noise.
    #[test]
    fn history_and_quotient_stay_within_bounds() {
        let w = ParameterSpec::new("w".into(), vec![4], DType::F32);
        let mut history = History::default();
        for _ in 0..20 {
            history.learn(&w, &draws(10.0), false);
        }
        assert_eq!(history.largest(&w), 4.0 * LARGEST_NOISE);
        let mut steep = draws(0.0);
        // v is that of the second draw, which is 0
        (steep.second, steep.around.noise) = (0.0, Vec::new());
        let quotient = Quotient {
            draws: steep,
            kept: None,
        };
        let mut found = [0.0; 4];
        quotient.fill(0, &mut found);
        let most = LARGEST_NOISE as f32;
        assert_eq!(found, [0.0, most, most, most]);
    }
}
