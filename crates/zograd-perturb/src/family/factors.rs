use crate::{Seed, Sides};
use std::iter;

/// Matrices of low rank that share their right factor, and perhaps their left one:
///
/// ```text
/// Z_k = each_k right          or        Z_k = left each_k right
/// ```
///
/// What a model needs to have `x Z_k'` without `Z_k`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// The number of rows of `right`.
    pub rank: usize,
    /// `[rank, columns]`.
    pub right: Vec<f32>,
    /// `[rows, rank]`, if it is the same for all.
    pub left: Option<Vec<f32>>,
    /// What is a matrix's own: `[rank, rank]` beside a shared `left`, else `[rows, rank]`.
    pub each: Vec<Vec<f32>>,
}

impl Factors {
    /// These rows of the matrices, in their order.
    ///
    /// # Panics
    /// A row is not in the matrices.
    pub fn of_rows(self, rows: &[u32]) -> Self {
        let picked = |left: &Vec<f32>| picked(left, self.rank, rows);
        match &self.left {
            Some(left) => Self {
                left: Some(picked(left)),
                ..self
            },
            None => Self {
                each: self.each.iter().map(picked).collect(),
                ..self
            },
        }
    }

    /// The same, each matrix followed by its opposite where its `sides` are both.
    pub(crate) fn at_sides(self, sides: impl Iterator<Item = Sides>) -> Self {
        let own = self.each.into_iter().zip(sides);
        let points = own.flat_map(|(own, sides)| {
            let opposite = match sides {
                Sides::One => None,
                Sides::Both => Some(own.iter().map(|entry| -entry).collect()),
            };
            iter::once(own).chain(opposite)
        });
        Self {
            each: points.collect(),
            ..self
        }
    }
}

/// These rows of a matrix `[rows, rank]`.
pub(super) fn picked(left: &[f32], rank: usize, rows: &[u32]) -> Vec<f32> {
    let rows = rows.iter().map(|row| &left[*row as usize * rank..][..rank]);
    rows.flatten().copied().collect()
}

/// `sum_k scale c_k f(seed_k)`, of `len` numbers each, which `fill` makes; added in f64 and rounded once.
pub(super) fn sum_of(
    terms: &[(Seed, f32)],
    scale: f64,
    len: usize,
    fill: impl Fn(Seed, &mut [f32]),
) -> Vec<f32> {
    let (mut sums, mut numbers) = (vec![0f64; len], vec![0f32; len]);
    for (seed, c) in terms {
        fill(*seed, &mut numbers);
        let c = scale * f64::from(*c);
        for (sum, number) in sums.iter_mut().zip(&numbers) {
            *sum += c * f64::from(*number);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
