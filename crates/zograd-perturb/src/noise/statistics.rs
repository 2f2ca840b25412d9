//! The noise as a sample of its distribution. Draws are fixed, so a test that holds once holds always; thresholds are
//! five standard errors, which a fair sample passes all but once in two million.

use super::{NoiseKind, fill, normal};
use crate::TensorId;
use zograd_direction::Seed;

const N: usize = 1 << 20;

fn noise(seed: u64, name: &str, kind: NoiseKind) -> Vec<f64> {
    let mut out = vec![0.0; N];
    fill(Seed::new(seed), TensorId::of(name), kind, 0, &mut out);
    out.into_iter().map(f64::from).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    values.sum::<f64>() / N as f64
}

/// The exact moment of Gaussian noise.
fn moment(power: i32) -> f64 {
    let values = (0..=u8::MAX).map(|bits| f64::from(normal(bits)).powi(power));
    values.sum::<f64>() / 256.0
}

#[test]
fn moments() {
    let z = noise(1, "w", NoiseKind::Gaussian);
    for power in 1..=6 {
        let error = ((moment(2 * power) - moment(power).powi(2)) / N as f64).sqrt();
        let off = mean(z.iter().map(|z| z.powi(power))) - moment(power);
        assert!(
            off.abs() < 5.0 * error,
            "{power}: off by {off}, error {error}"
        );
    }
    let signs = noise(1, "w", NoiseKind::Rademacher);
    assert!(mean(signs.iter().copied()).abs() < 5.0 / (N as f64).sqrt());
    assert!(signs.iter().all(|z| z.abs() == 1.0));
}

/// Every value as often as it should be.
#[test]
fn chi_square() {
    let z = noise(3, "w", NoiseKind::Gaussian);
    let mut expected = [0.0; 195];
    for bits in 0..=u8::MAX {
        expected[(32.0 * normal(bits) + 97.0) as usize] += N as f64 / 256.0;
    }
    let mut found = [0.0; 195];
    for z in z {
        found[(32.0 * z + 97.0) as usize] += 1.0;
    }
    let mut chi_square = 0.0;
    let mut values = 0;
    for (found, expected) in found.iter().zip(expected) {
        if expected == 0.0 {
            assert_eq!(*found, 0.0);
        } else {
            chi_square += (found - expected).powi(2) / expected;
            values += 1;
        }
    }
    // mean and variance of the distribution: degrees of freedom, and twice as many
    let freedom = f64::from(values - 1);
    let off = (chi_square - freedom) / (2.0 * freedom).sqrt();
    assert!(off.abs() < 5.0, "{chi_square} for {freedom}");
}

/// Neighbours in a row, in a column, and those that share a word of the keystream; seeds that differ in one bit; tensors; and
/// the two kinds. Products of the values, of their squares (a decorrelation of the signs would pass without) and of
/// a value and a square.
#[test]
fn correlations() {
    for kind in NoiseKind::ALL {
        let a = noise(8, "w", kind);
        let other = match kind {
            NoiseKind::Gaussian => NoiseKind::Rademacher,
            NoiseKind::Rademacher => NoiseKind::Gaussian,
        };
        let turned = |by: usize| -> Vec<f64> {
            let turned = a[by..].iter().chain(&a[..by]);
            turned.copied().collect()
        };
        for (what, b) in [
            ("neighbours", turned(1)),
            ("one row on", turned(16)),
            ("two rows on", turned(32)),
            ("one word on", turned(64)),
            ("one group on", turned(kind.elements_of_group())),
            ("seeds", noise(9, "w", kind)),
            ("tensors", noise(8, "v", kind)),
            ("kinds", noise(8, "w", other)),
        ] {
            let variance = |v: &[f64]| mean(v.iter().map(|x| (x * x - 1.0).powi(2)));
            let (va, vb) = (variance(&a), variance(&b));
            let pairs = || a.iter().zip(&b);
            for (which, product, variance) in [
                ("values", mean(pairs().map(|(x, y)| x * y)), 1.0),
                (
                    "value and square",
                    mean(pairs().map(|(x, y)| x * (y * y - 1.0))),
                    vb,
                ),
                (
                    "squares",
                    mean(pairs().map(|(x, y)| (x * x - 1.0) * (y * y - 1.0))),
                    va * vb,
                ),
            ] {
                let most = 5.0 * (variance / N as f64).sqrt();
                assert!(product.abs() <= most, "{kind}, {what}, {which}: {product}");
            }
        }
    }
}

/// Sums of eight elements that share a register, and of eight streams.
#[test]
fn sums_have_the_variance_of_independent_ones() {
    for kind in NoiseKind::ALL {
        let fourth = match kind {
            NoiseKind::Gaussian => moment(4),
            NoiseKind::Rademacher => 1.0,
        };
        let elements: Vec<f64> = noise(5, "w", kind)
            .chunks(8)
            .map(|z| z.iter().sum())
            .collect();
        let mut streams = vec![0.0; N];
        for seed in 100..108 {
            for (sum, z) in streams.iter_mut().zip(noise(seed, "w", kind)) {
                *sum += z;
            }
        }
        for (what, sums) in [("elements", elements), ("streams", streams)] {
            let n = sums.len() as f64;
            let moment = |p: i32| sums.iter().map(|x| x.powi(p)).sum::<f64>() / n;
            // of a sum of eight: the variance is 8, the excess of the fourth moment 8 times that of one
            let excess = 8.0 * (fourth - 3.0);
            let variance = moment(2);
            let error = ((3.0 * 64.0 + excess - 64.0) / n).sqrt();
            assert!(
                (variance - 8.0).abs() < 5.0 * error,
                "{kind} {what}: {variance}"
            );
        }
    }
}
