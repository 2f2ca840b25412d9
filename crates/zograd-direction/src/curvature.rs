use crate::Seed;

/// What a step has learnt of the curvature along the noise of a seed, and how much of it is to be taken up.
///
/// Weights that keep an estimate `H` of the diagonal of the Hessian, 1 at first, take it up element by element, before the
/// next step:
///
/// ```text
/// H <- (1 - share) H + share * along * H z^2
/// ```
///
/// with the noise `z` of the seed, which from then on is `z / sqrt(H)` wherever it moves weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curvature {
    /// Whose noise.
    pub seed: Seed,
    /// Half of the second derivative of the loss along it, in magnitude.
    pub along: f64,
    /// What part of the old estimate is replaced, from 0 to below 1.
    pub share: f64,
}

impl Curvature {
    /// This curvature along the noise of `seed`, of which `share` is taken up.
    pub fn new(seed: Seed, along: f64, share: f64) -> Self {
        Self { seed, along, share }
    }

    /// Whether every number of it is finite.
    pub fn is_finite(&self) -> bool {
        self.along.is_finite() && self.share.is_finite()
    }
}
