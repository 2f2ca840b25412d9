use super::factors::{Factors, sum_of};
use super::in_use::InUse;
use super::low_rank::{LowRank, Right};
use super::matrix::{matrix_of, own_matrix_of};
use super::{Family, Part};
use crate::noise::{self, LARGEST_NOISE};
use crate::{NoiseKind, ParameterSpec, Seed};
use std::sync::Arc;

/// LOZO: on each matrix `Z = U V' / sqrt(r)` with Gaussian factors, `U` fresh for every seed and `V` kept for some steps.
///
/// With this scale every element has variance 1, as dense noise has it, and the update `g Z`, with the slope `g` along
/// `Z`, is the published `(g / r) U V'`: the slope along `U V'` is `sqrt(r)` times this one. (The published `eps` is
/// `1 / sqrt(r)` of that here; the released code leaves the `1 / r` out.) Noise on vectors, and on matrices too small
/// for the rank, is dense.
///
/// Nothing is stored but the `V` in use, `rank` numbers for each column of a matrix.
///
/// From arXiv 2410.07698.
#[derive(Debug)]
pub struct Lozo {
    rank: usize,
    refresh: u64,
    kind: NoiseKind,
    seed: Seed,
    in_use: InUse<Right>,
}

impl Lozo {
    /// Of this rank, with a `V` for `refresh` steps at a time, drawn from `seed`; the entries of `U` are of this kind.
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

    /// `V` of a parameter with so many columns.
    fn right(&self, parameter: &ParameterSpec, columns: usize, step: u64) -> Arc<Right> {
        let since = self.since(step);
        self.in_use.of(parameter.id, since, || {
            let mut factor = vec![0.0; columns * self.rank];
            let seed = self.seed.child(since / self.refresh);
            noise::fill(seed, parameter.id, NoiseKind::Gaussian, 0, &mut factor);
            Right::new(&factor, self.rank)
        })
    }
}

impl Lozo {
    /// With a `U` of so many numbers, which `fill` makes.
    fn beside(
        &self,
        right: &Right,
        sums: &[Vec<(Seed, f32)>],
        len: usize,
        fill: impl Fn(Seed, &mut [f32]),
    ) -> Factors {
        let scale = 1.0 / (self.rank as f64).sqrt();
        let left = |terms: &Vec<_>| sum_of(terms, scale, len, &fill);
        Factors {
            rank: self.rank,
            right: right.transposed(),
            left: None,
            each: sums.iter().map(left).collect(),
        }
    }
}

impl Family for Lozo {
    fn part(&self, parameter: &ParameterSpec, step: u64, seed: Seed) -> Part {
        let Some([rows, columns]) = matrix_of(parameter, self.rank) else {
            return Part::Dense;
        };
        let right = self.right(parameter, columns, step);
        let mut left = vec![0.0; rows * self.rank];
        noise::fill(seed, parameter.id, self.kind, 0, &mut left);
        let scale = 1.0 / (self.rank as f32).sqrt();
        for entry in &mut left {
            *entry *= scale;
        }
        Part::made(LowRank::of(left, right))
    }

    fn factors(
        &self,
        parameter: &ParameterSpec,
        step: u64,
        sums: &[Vec<(Seed, f32)>],
    ) -> Option<Factors> {
        let [rows, columns] = own_matrix_of(parameter, self.rank)?;
        let u = |seed, out: &mut [f32]| noise::fill(seed, parameter.id, self.kind, 0, out);
        let right = self.right(parameter, columns, step);
        Some(self.beside(&right, sums, rows * self.rank, u))
    }

    fn factors_of_rows(
        &self,
        parameter: &ParameterSpec,
        step: u64,
        sums: &[Vec<(Seed, f32)>],
        rows: &[u32],
    ) -> Option<Factors> {
        let [count, columns] = own_matrix_of(parameter, self.rank)?;
        let u = |seed, out: &mut [f32]| {
            for (row, out) in rows.iter().zip(out.chunks_exact_mut(self.rank)) {
                let row = *row as usize;
                assert!(row < count, "row {row} of {count}");
                let start = (row * self.rank) as u64;
                noise::fill(seed, parameter.id, self.kind, start, out);
            }
        };
        let right = self.right(parameter, columns, step);
        Some(self.beside(&right, sums, rows.len() * self.rank, u))
    }

    fn since(&self, step: u64) -> u64 {
        step - step % self.refresh
    }

    fn largest(&self, parameter: &ParameterSpec, _: u64) -> f64 {
        match matrix_of(parameter, self.rank) {
            None => LARGEST_NOISE,
            // sums in f32 are longer than that by less than a thousandth
            Some(_) => 1.001 * (self.rank as f64).sqrt() * LARGEST_NOISE * LARGEST_NOISE,
        }
    }
}
