//! The numbers that adapters begin with: functions of a seed, equal to the last bit on every machine and
//! backend.

use std::f64::consts::TAU;

use burn::tensor::TensorData;
use zograd_direction::Seed;

/// Uniform numbers in `[-bound, bound)`: the upper 24 bits of one child of the seed each.
pub(super) fn uniform(seed: Seed, shape: [usize; 2], bound: f64) -> TensorData {
    let count = shape[0] * shape[1];
    let values: Vec<f32> = (0..count as u64)
        .map(|i| ((2.0 * unit(seed.child(i)) - 1.0) * bound) as f32)
        .collect();
    TensorData::new(values, shape)
}

/// Standard normal numbers, by Box and Muller's transform. Its functions come from `libm`, not from the
/// system, whose last bits differ.
pub(super) fn normal(seed: Seed, shape: [usize; 2]) -> TensorData {
    let count = shape[0] * shape[1];
    let values: Vec<f32> = (0..count as u64)
        .map(|i| {
            // in (0, 1], where the logarithm is finite
            let radius = 1.0 - unit(seed.child(2 * i));
            let angle = TAU * unit(seed.child(2 * i + 1));
            (libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(angle)) as f32
        })
        .collect();
    TensorData::new(values, shape)
}

/// Words drawn from a vocabulary, as MeZO's code does: any id, with repetition, without a BOS.
pub(super) fn words(seed: Seed, count: usize, vocab_size: usize) -> Vec<u32> {
    (0..count as u64)
        .map(|i| (seed.child(i).value() % vocab_size as u64) as u32)
        .collect()
}

/// In `[0, 1)`.
fn unit(seed: Seed) -> f64 {
    (seed.value() >> 40) as f64 / (1u64 << 24) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let square = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n;
        (mean, square)
    }

    /// Means within 5 standard errors.
    #[test]
    fn the_numbers_have_their_distributions() {
        let values: Vec<f32> = uniform(Seed::new(1), [100, 200], 0.25).iter().collect();
        assert!(values.iter().all(|x| x.abs() <= 0.25));
        let (mean, square) = moments(&values);
        assert!(mean.abs() < 5.0 * 0.25 / (3.0f64 * 2e4).sqrt(), "{mean}");
        assert!((square * 48.0 - 1.0).abs() < 0.04, "{square}");
        let values: Vec<f32> = normal(Seed::new(1), [100, 200]).iter().collect();
        let (mean, square) = moments(&values);
        assert!(mean.abs() < 5.0 / 2e4f64.sqrt(), "{mean}");
        assert!(
            (square - 1.0).abs() < 5.0 * (2.0f64 / 2e4).sqrt(),
            "{square}"
        );
        let words = words(Seed::new(1), 1000, 7);
        assert!((0..7).all(|word| words.contains(&word)));
    }
}
