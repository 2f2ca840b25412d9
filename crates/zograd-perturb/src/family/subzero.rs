use super::factors::{Factors, picked, sum_of};
use super::in_use::InUse;
use super::low_rank::Right;
use super::matrix::{matrix_of, own_matrix_of};
use super::orthonormal::orthonormal;
use super::{Family, Part, Values};
use crate::noise::{self, LARGEST_NOISE};
use crate::{NoiseKind, ParameterSpec, Seed, TensorId};
use std::sync::Arc;

/// Child of the family's seed that the left factors come from; the right ones come from the next.
const LEFT: u64 = 0;
const RIGHT: u64 = 1;

/// SubZero: on each matrix `[m, n]`, `Z = U S V' sqrt(m n) / r`. `U` and `V` have `r` orthonormal columns and are kept for
/// some steps; `S`, `[r, r]`, is fresh noise for every seed.
///
/// With this scale, which is the published code's, `Z` is as long as dense noise, so that learning rate and `eps` mean
/// what they mean there. Noise on vectors, and on matrices too small for the rank, is dense.
///
/// Stored are the `U` and `V` in use: `r (m + n)` numbers for each matrix.
///
/// From arXiv 2410.08989.
#[derive(Debug)]
pub struct Subzero {
    rank: usize,
    refresh: u64,
    kind: NoiseKind,
    seed: Seed,
    in_use: InUse<Basis>,
}

/// Where the perturbations of a matrix lie for some steps.
#[derive(Debug)]
struct Basis {
    /// `U sqrt(m n) / r`, `[m, r]`
    left: Vec<f32>,
    right: Arc<Right>,
    /// No element of a perturbation is larger than this, times the length of `S`.
    largest: f64,
}

impl Subzero {
    /// Of this rank, with `U` and `V` for `refresh` steps at a time, drawn from `seed`; the entries of `S` are of this
    /// kind.
    ///
    /// # Panics
    /// `rank` or `refresh` is 0.
    pub fn new(rank: usize, refresh: u64, kind: NoiseKind, seed: Seed) -> Self {
        assert!(rank > 0 && refresh > 0, "a rank and a time of at least 1");
        Self {
            rank,
            refresh,
            kind,
            seed,
            in_use: InUse::default(),
        }
    }

    fn basis(&self, parameter: &ParameterSpec, shape: [usize; 2], step: u64) -> Arc<Basis> {
        let since = self.since(step);
        let draw = || self.drawn(parameter.id, shape, since);
        self.in_use.of(parameter.id, since, draw)
    }

    fn drawn(&self, tensor: TensorId, [rows, columns]: [usize; 2], since: u64) -> Basis {
        let (rank, seed) = (self.rank, self.seed.child(since / self.refresh));
        let left = orthonormal(seed.child(LEFT), tensor, rows, rank);
        let right = orthonormal(seed.child(RIGHT), tensor, columns, rank);
        let longest = |matrix: &[f64]| {
            let rows = matrix.chunks(rank);
            let squares = rows.map(|row| row.iter().map(|x| x * x).sum::<f64>());
            squares.fold(0.0, f64::max).sqrt()
        };
        let scale = ((rows * columns) as f64).sqrt() / rank as f64;
        let narrow: Vec<f32> = right.iter().map(|x| *x as f32).collect();
        Basis {
            largest: scale * longest(&left) * longest(&right),
            left: left.iter().map(|x| (scale * x) as f32).collect(),
            right: Arc::new(Right::new(&narrow, rank)),
        }
    }
}

/// `U S V'`, of which the rows of `U S` are made when they are needed: for the many seeds of a step they would be as
/// many numbers as the weights.
#[derive(Debug)]
struct Product {
    basis: Arc<Basis>,
    /// `[r, r]`
    s: Vec<f32>,
}

impl Values for Product {
    fn fill(&self, start: usize, out: &mut [f32]) {
        let Basis { left, right, .. } = &*self.basis;
        right.product(start, out, |row, sums| {
            let rank = sums.len();
            let u = &left[row * rank..][..rank];
            for (sum, k) in sums.iter_mut().zip(0..) {
                let column = self.s[k..].iter().step_by(rank);
                let products = u
                    .iter()
                    .zip(column)
                    .map(|(u, s)| f64::from(*u) * f64::from(*s));
                *sum = products.sum::<f64>() as f32;
            }
        });
    }
}

impl Subzero {
    /// With this `U`, or these rows of it.
    fn between(
        &self,
        parameter: &ParameterSpec,
        sums: &[Vec<(Seed, f32)>],
        (left, right): (Vec<f32>, &Right),
    ) -> Factors {
        let s = |seed, out: &mut [f32]| noise::fill(seed, parameter.id, self.kind, 0, out);
        let middle = |terms: &Vec<_>| sum_of(terms, 1.0, self.rank * self.rank, s);
        Factors {
            rank: self.rank,
            right: right.transposed(),
            left: Some(left),
            each: sums.iter().map(middle).collect(),
        }
    }
}

impl Family for Subzero {
    fn part(&self, parameter: &ParameterSpec, step: u64, seed: Seed) -> Part {
        let Some(shape) = matrix_of(parameter, self.rank) else {
            return Part::Dense;
        };
        let basis = self.basis(parameter, shape, step);
        let mut s = vec![0.0; self.rank * self.rank];
        noise::fill(seed, parameter.id, self.kind, 0, &mut s);
        Part::made(Product { basis, s })
    }

    fn factors(
        &self,
        parameter: &ParameterSpec,
        step: u64,
        sums: &[Vec<(Seed, f32)>],
    ) -> Option<Factors> {
        let basis = self.basis(parameter, own_matrix_of(parameter, self.rank)?, step);
        let factors = (basis.left.clone(), &*basis.right);
        Some(self.between(parameter, sums, factors))
    }

    fn factors_of_rows(
        &self,
        parameter: &ParameterSpec,
        step: u64,
        sums: &[Vec<(Seed, f32)>],
        rows: &[u32],
    ) -> Option<Factors> {
        let basis = self.basis(parameter, own_matrix_of(parameter, self.rank)?, step);
        let left = picked(&basis.left, self.rank, rows);
        Some(self.between(parameter, sums, (left, &*basis.right)))
    }

    fn since(&self, step: u64) -> u64 {
        step - step % self.refresh
    }

    fn largest(&self, parameter: &ParameterSpec, step: u64) -> f64 {
        let Some(shape) = matrix_of(parameter, self.rank) else {
            return LARGEST_NOISE;
        };
        // |u S v| <= |u| |S| |v|; sums in f32 are longer than that by less than a thousandth
        let longest_s = self.rank as f64 * LARGEST_NOISE;
        1.001 * longest_s * self.basis(parameter, shape, step).largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::LowRank;
    use burn::tensor::DType;

    /// Pieces that begin and end within rows have the bits of `U S`, made whole, times `V'`.
    #[test]
    fn rows_made_when_they_are_needed_are_those_of_the_whole_factor() {
        let (rank, [rows, columns]) = (3, [7, 45]);
        let family = Subzero::new(rank, 5, NoiseKind::Gaussian, Seed::new(1));
        let w = ParameterSpec::new("w".into(), vec![rows, columns], DType::F32);
        let Part::Made(values) = family.part(&w, 0, Seed::new(2)) else {
            panic!("a matrix of low rank");
        };
        let basis = family.basis(&w, [rows, columns], 0);
        let mut s = vec![0.0; rank * rank];
        noise::fill(Seed::new(2), w.id, NoiseKind::Gaussian, 0, &mut s);
        let left = (0..rows * rank).map(|at| {
            let (row, k) = (at / rank, at % rank);
            let product = |j| f64::from(basis.left[row * rank + j]) * f64::from(s[j * rank + k]);
            (0..rank).map(product).sum::<f64>() as f32
        });
        let whole = LowRank::of(left.collect(), Arc::clone(&basis.right));
        let mut expected = vec![0.0; rows * columns];
        whole.fill(0, &mut expected);
        for (start, end) in [(0, rows * columns), (44, 46), (50, 200), (17, 17)] {
            let mut piece = vec![0.0; end - start];
            values.fill(start, &mut piece);
            assert_eq!(piece, expected[start..end]);
        }
    }
}
