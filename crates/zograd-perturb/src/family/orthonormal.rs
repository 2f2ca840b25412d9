//! Matrices with orthonormal columns, from seeds.

use crate::noise;
use crate::{NoiseKind, Seed, TensorId};

/// Sums of a dot product that go side by side.
const LANES: usize = 8;

/// A drawn column whose part outside of the others is shorter than this share of it is drawn anew.
const SHORTEST: f64 = 1e-3;

/// A matrix `[rows, rank]` in row-major order whose columns are orthonormal: those of a Gaussian matrix, made so one after
/// the other (Gram-Schmidt, each twice). Uniform among all such matrices, as far as the noise is Gaussian.
///
/// Computed in f64 in a fixed order, without fused operations, so that the bits are those of every machine.
///
/// # Panics
/// There are fewer rows than columns.
pub(super) fn orthonormal(seed: Seed, tensor: TensorId, rows: usize, rank: usize) -> Vec<f64> {
    assert!(rank <= rows, "{rank} orthonormal columns of {rows} rows");
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(rank);
    let mut drawn = vec![0f32; rows];
    // noise may draw a column that is 0 or among the others, if there are few rows; then unit vectors have to do
    for attempt in 0.. {
        if columns.len() == rank {
            break;
        }
        let mut column = vec![0.0; rows];
        match attempt < 2 * rank {
            true => {
                let start = (attempt * rows) as u64;
                noise::fill(seed, tensor, NoiseKind::Gaussian, start, &mut drawn);
                for (to, from) in column.iter_mut().zip(&drawn) {
                    *to = f64::from(*from);
                }
            }
            false => column[attempt - 2 * rank] = 1.0,
        }
        let length = dot(&column, &column).sqrt();
        for _ in 0..2 {
            for other in &columns {
                let along = dot(&column, other);
                for (x, y) in column.iter_mut().zip(other) {
                    *x -= along * y;
                }
            }
        }
        let left = dot(&column, &column).sqrt();
        if left > SHORTEST * length {
            for x in &mut column {
                *x /= left;
            }
            columns.push(column);
        }
    }
    let mut matrix = Vec::with_capacity(rows * rank);
    for row in 0..rows {
        matrix.extend(columns.iter().map(|column| column[row]));
    }
    matrix
}

/// The dot product, in a fixed order of sums that registers can take.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    for ((sum, x), y) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += x * y;
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As far as f64 goes, also where noise alone has no such columns: of one row, or of as many as columns.
    #[test]
    fn columns_are_orthonormal() {
        for (rows, rank) in [(1, 1), (2, 2), (3, 3), (16, 16), (100, 7), (1000, 32)] {
            for seed in 0..20 {
                let u = orthonormal(Seed::new(seed), TensorId::of("w"), rows, rank);
                for a in 0..rank {
                    for b in 0..rank {
                        let product: f64 = u.chunks(rank).map(|row| row[a] * row[b]).sum();
                        let expected = f64::from(u8::from(a == b));
                        assert!(
                            (product - expected).abs() < 1e-12,
                            "{rows} x {rank}, columns {a} and {b}: {product}"
                        );
                    }
                }
            }
        }
    }
}
