use super::Values;
use crate::vector::{Instructions, Loop, compiled};
use std::sync::Arc;

/// Columns of a panel: as many as are summed side by side, in registers.
const PANEL: usize = 32;

/// The transposed right factor of a matrix of low rank, `[columns, rank]`, cut into panels of columns.
#[derive(Clone, Debug)]
pub(super) struct Right {
    columns: usize,
    rank: usize,
    /// Panel by panel, `[rank, PANEL]` each, filled up with zeros.
    panels: Vec<f32>,
}

impl Right {
    /// Of a matrix `[columns, rank]`.
    pub(super) fn new(factor: &[f32], rank: usize) -> Self {
        let columns = factor.len() / rank;
        let mut panels = vec![0.0; columns.div_ceil(PANEL) * PANEL * rank];
        for (column, row) in factor.chunks_exact(rank).enumerate() {
            let (panel, lane) = (column / PANEL, column % PANEL);
            for (k, value) in row.iter().enumerate() {
                panels[(panel * rank + k) * PANEL + lane] = *value;
            }
        }
        Self {
            columns,
            rank,
            panels,
        }
    }

    /// The factor `[rank, columns]`.
    pub(super) fn transposed(&self) -> Vec<f32> {
        let mut factor = vec![0.0; self.rank * self.columns];
        for (k, row) in factor.chunks_exact_mut(self.columns).enumerate() {
            for (panel, lanes) in row.chunks_mut(PANEL).enumerate() {
                let from = &self.panels[(panel * self.rank + k) * PANEL..];
                lanes.copy_from_slice(&from[..lanes.len()]);
            }
        }
        factor
    }

    /// Writes the elements from `start` on of a left factor times this one into `out`; `left` writes a row of the left
    /// one.
    pub(super) fn product(
        &self,
        start: usize,
        mut out: &mut [f32],
        left: impl Fn(usize, &mut [f32]),
    ) {
        let instructions = Instructions::in_use();
        let mut own = vec![0.0; self.rank];
        let mut at = start;
        while !out.is_empty() {
            let (row, column) = (at / self.columns, at % self.columns);
            let (now, later) = out.split_at_mut(out.len().min(self.columns - column));
            at += now.len();
            left(row, &mut own);
            let sums = RowOfProduct {
                left: &own,
                panels: &self.panels,
                column,
                out: now,
            };
            compiled(sums, instructions);
            out = later;
        }
    }
}

/// A matrix of low rank, `left * right'`, of which the factors alone exist:
///
/// ```text
/// z[i, j] = fma(left[i, r-1], right[j, r-1], .. fma(left[i, 0], right[j, 0], 0))
/// ```
///
/// in f32, with fused multiply-adds in this order.
///
/// ```
/// use zograd_perturb::family::{LowRank, Values};
///
/// let outer = LowRank::new(vec![1.0, 2.0], &[3.0, 4.0, 5.0], 1);
/// let mut z = [0.0; 6];
/// outer.fill(0, &mut z);
/// assert_eq!(z, [3.0, 4.0, 5.0, 6.0, 8.0, 10.0]);
/// ```
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `[rows, rank]`
    left: Vec<f32>,
    right: Arc<Right>,
}

impl LowRank {
    /// The product of `left`, `[rows, rank]`, and the transpose of `right`, `[columns, rank]`, both in row-major order.
    ///
    /// # Panics
    /// `rank` is 0, or the length of a factor is no multiple of it.
    pub fn new(left: Vec<f32>, right: &[f32], rank: usize) -> Self {
        assert!(rank > 0, "a matrix of rank 0 is no perturbation");
        assert!(
            left.len().is_multiple_of(rank) && right.len().is_multiple_of(rank),
            "factors have {rank} columns"
        );
        Self::of(left, Arc::new(Right::new(right, rank)))
    }

    pub(super) fn of(left: Vec<f32>, right: Arc<Right>) -> Self {
        Self { left, right }
    }
}

impl Values for LowRank {
    fn fill(&self, start: usize, out: &mut [f32]) {
        let rank = self.right.rank;
        self.right.product(start, out, |row, left| {
            left.copy_from_slice(&self.left[row * rank..][..rank]);
        });
    }
}

/// A part of a row of a matrix of low rank.
struct RowOfProduct<'a> {
    left: &'a [f32],
    panels: &'a [f32],
    column: usize,
    out: &'a mut [f32],
}

impl Loop for RowOfProduct<'_> {
    #[inline(always)]
    fn run(self) {
        let size = self.left.len() * PANEL;
        let (mut column, mut out) = (self.column, self.out);
        while !out.is_empty() {
            let lane = column % PANEL;
            let panel = &self.panels[column / PANEL * size..][..size];
            let mut sums = [0f32; PANEL];
            for (a, row) in self.left.iter().zip(panel.as_chunks::<PANEL>().0) {
                for (sum, b) in sums.iter_mut().zip(row) {
                    *sum = a.mul_add(*b, *sum);
                }
            }
            let (now, later) = out.split_at_mut(out.len().min(PANEL - lane));
            now.copy_from_slice(&sums[lane..lane + now.len()]);
            column += now.len();
            out = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever piece is asked for, with whatever instructions: the bits of the definition.
        #[test]
        fn pieces_are_those_of_the_definition(
            rows in 1usize..7,
            columns in 1usize..80,
            rank in 1usize..6,
            start in 0.0f64..1.0,
            len in 0.0f64..1.0,
        ) {
            let factor = |n: usize, salt: usize| -> Vec<f32> {
                (0..n * rank).map(|i| ((i * 37 + salt) % 61) as f32 / 13.0 - 2.0).collect()
            };
            let (left, right) = (factor(rows, 1), factor(columns, 7));
            let values = LowRank::new(left.clone(), &right, rank);
            let all: Vec<f32> = (0..rows * columns)
                .map(|at| {
                    let (i, j) = (at / columns, at % columns);
                    (0..rank).fold(0f32, |sum, k| {
                        left[i * rank + k].mul_add(right[j * rank + k], sum)
                    })
                })
                .collect();
            let start = (start * all.len() as f64) as usize;
            let end = start + (len * (all.len() - start) as f64) as usize;
            let mut piece = vec![0.0; end - start];
            values.fill(start, &mut piece);
            prop_assert_eq!(&piece, &all[start..end]);
            for instructions in Instructions::available() {
                let mut row = vec![0.0; columns];
                let sums = RowOfProduct {
                    left: &left[..rank],
                    panels: &values.right.panels,
                    column: 0,
                    out: &mut row,
                };
                compiled(sums, instructions);
                prop_assert_eq!(&row, &all[..columns]);
            }
        }
    }
}
