use crate::noise::normal;
use crate::{Direction, Grid, Grids, NoiseKind, ParameterSpace};

/// How finely weights on grids can be moved.
///
/// Every term of an update is rounded to a multiple of a tensor's grid, and what is far below its spacing is rounded
/// away.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    kind: NoiseKind,
    /// The grids, and the share of the weights that is on each.
    grids: Vec<(Grid, f64)>,
}

impl Resolution {
    pub(crate) fn new(kind: NoiseKind, space: &ParameterSpace, grids: &Grids) -> Self {
        let mut shares: Vec<(Grid, f64)> = Vec::new();
        let all = space.dimension().max(1) as f64;
        for (index, spec) in space.parameters().iter().enumerate() {
            let (grid, share) = (grids.at(index), spec.len() as f64 / all);
            match shares.iter_mut().find(|(known, _)| *known == grid) {
                Some((_, sum)) => *sum += share,
                None => shares.push((grid, share)),
            }
        }
        Self {
            kind,
            grids: shares,
        }
    }

    /// How much of the update `lr * direction` is expected to reach the weights: 1 for all of it, 0 for nothing. From
    /// the coefficients and the grids alone, as if noise were dense in all weights.
    pub fn arriving(&self, direction: &Direction, lr: f64) -> f64 {
        let terms = direction.terms();
        let largest = terms.iter().map(|(_, c)| c.abs()).fold(0.0, f64::max);
        if largest * lr == 0.0 || !(largest * lr).is_finite() {
            return 1.0;
        }
        let (mut arriving, mut all) = (0.0, 0.0);
        for (_, c) in terms {
            let weight = (c / largest).powi(2);
            all += weight;
            for (grid, share) in &self.grids {
                let spacings = (c * lr).abs() / grid.spacing();
                arriving += weight * share * rounded(self.kind, spacings);
            }
        }
        (arriving / all).min(1.0)
    }
}

/// What is left of `c z` along `z` when it is rounded to whole numbers, on average and in units of `c`.
fn rounded(kind: NoiseKind, c: f64) -> f64 {
    match kind {
        NoiseKind::Rademacher => c.round() / c,
        NoiseKind::Gaussian => {
            let normals = (0..=u8::MAX).map(|bits| f64::from(normal(bits)));
            normals.map(|z| (c * z).round() * z).sum::<f64>() / (256.0 * c)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Seed, TensorId, noise};

    /// Against rounding a million numbers.
    #[test]
    fn rounding_is_foreseen() {
        let mut z = vec![0f32; 1 << 20];
        for kind in NoiseKind::ALL {
            noise::fill(Seed::new(1), TensorId::of("w"), kind, 0, &mut z);
            for c in [0.05, 0.1, 0.2, 0.25, 0.4, 0.7, 1.3, 5.0] {
                let arrived = z
                    .iter()
                    .map(|z| (c * f64::from(*z)).round() * f64::from(*z));
                let found = arrived.sum::<f64>() / (z.len() as f64 * c);
                let expected = rounded(kind, c);
                assert!(
                    (found - expected).abs() < 0.01,
                    "{kind} {c}: {found} {expected}"
                );
            }
        }
    }
}
