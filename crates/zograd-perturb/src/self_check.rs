//! Whether a device adds as exact steps need it.

use crate::grid::odd;
use crate::noise::{self, NoiseKind};
use crate::{Grid, NoiseBackend, NoisePass, TensorId, kernel};
use burn::tensor::{DType, Tensor, TensorData, TensorPrimitive};
use zograd_direction::Seed;

/// Weights of a check.
const WEIGHTS: usize = 256;

/// Normals that are smaller, 0 among them, would take a coefficient beyond the longest hop to reach the terms of a check.
const SMALLEST: f32 = 0.05;

/// Whether passes on this device have the bits of [`NoisePass`]: some hundred numbers are moved there and on the CPU.
///
/// A device whose fused multiply-add rounds twice, as some graphics drivers' does, is found out: the terms lie so close
/// to the middle of two multiples of a grid that rounding the product first would move them across. On such a device use
/// [`Arithmetic::Plain`](crate::Arithmetic::Plain).
pub fn is_exact_on<B: NoiseBackend>(device: &B::Device) -> bool {
    adds_exactly(|weights, pass| {
        let data = TensorData::new(weights.to_vec(), [weights.len()]);
        let tensor = Tensor::<B, 1>::from_data(data, (device, DType::F32));
        let moved = B::add_noise(tensor.into_primitive().tensor(), pass);
        let moved = Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(moved));
        moved.into_data().iter::<f32>().collect()
    })
}

/// Whether `add` does what the CPU does.
fn adds_exactly(mut add: impl FnMut(&[f32], &NoisePass<'_>) -> Vec<f32>) -> bool {
    let grid = Grid::holding(0.5, 1e-3, 0.0);
    let spacing = grid.spacing() as f32;
    let weights: Vec<f32> = (0..WEIGHTS)
        .map(|i| ((i * 7919) % 16_001) as f32 * 500.0 * spacing - 0.24)
        .map(|w| (w / spacing).round() * spacing)
        .collect();
    let (tensor, seeds) = (TensorId::of("self-check"), [Seed::new(1), Seed::new(2)]);
    let mut z = [0f32; WEIGHTS];
    noise::fill(seeds[0], tensor, NoiseKind::Gaussian, 0, &mut z);
    let mut same = |kind, terms: &[(Seed, f32)], shrink, dither| {
        let pass = NoisePass {
            shrink,
            dither,
            grid: Some(grid),
            ..NoisePass::new(tensor, kind, terms)
        };
        let mut expected = weights.clone();
        kernel::add_noise(&mut expected, &pass);
        add(&weights, &pass) == expected
    };
    let near_the_middle = z
        .iter()
        .enumerate()
        .filter(|(_, z)| z.abs() >= SMALLEST)
        .all(|(k, z)| {
            let c = ((k % 50) as f32 + 0.5) * spacing / z;
            let terms = [(seeds[0], odd(c)), (seeds[1], odd(0.7 * c))];
            same(NoiseKind::Gaussian, &terms, 0.0, 0.0)
        });
    let signs = [(seeds[0], odd(1e-3)), (seeds[1], odd(-3e-4))];
    near_the_middle
        && same(NoiseKind::Rademacher, &signs, 0.0, 0.0)
        && same(NoiseKind::Gaussian, &signs, 1e-6, 0.01)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, with a multiply-add of the kind that is asked about.
    fn by_definition(
        weights: &[f32],
        pass: &NoisePass<'_>,
        multiply_add: impl Fn(f32, f32, f32) -> f32,
    ) -> Vec<f32> {
        let mut z = vec![0f32; weights.len()];
        let mut sums = vec![pass.base(); weights.len()];
        for &(seed, c) in pass.terms {
            noise::fill(seed, pass.tensor, pass.kind, 0, &mut z);
            for (sum, z) in sums.iter_mut().zip(&z) {
                *sum = multiply_add(c, *z, *sum);
            }
        }
        let moved = weights.iter().zip(&sums);
        moved
            .map(|(w, sum)| w + (multiply_add(-pass.shrink, w + pass.dither, *sum) - pass.base()))
            .collect()
    }

    #[test]
    fn rounding_twice_is_found_out() {
        let fused = |a: f32, b: f32, c: f32| a.mul_add(b, c);
        assert!(adds_exactly(|w, pass| by_definition(w, pass, fused)));
        let twice = |a: f32, b: f32, c: f32| a * b + c;
        assert!(!adds_exactly(|w, pass| by_definition(w, pass, twice)));
    }

    #[cfg(feature = "ndarray")]
    #[test]
    fn the_cpu_is_exact() {
        assert!(is_exact_on::<burn_ndarray::NdArray<f32>>(
            &Default::default()
        ));
    }
}
