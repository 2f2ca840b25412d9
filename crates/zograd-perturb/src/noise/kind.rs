use serde::{Deserialize, Serialize};
use std::fmt;

/// The distribution of every coordinate of `z`: mean 0, variance 1, independent.
///
/// The estimators need no more than that; the paper and the originals use Gaussian noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoiseKind {
    /// Standard normal from 16 random bits, as in the paper.
    #[default]
    Gaussian,
    /// +1 or -1 from one random bit: the cheapest noise, with the same moments up to the second.
    Rademacher,
}

impl NoiseKind {
    /// All kinds, in the order of their keystream numbers.
    pub const ALL: [Self; 2] = [Self::Gaussian, Self::Rademacher];

    /// The ChaCha stream (nonce) that this kind reads.
    pub(crate) const fn keystream(self) -> u64 {
        match self {
            Self::Gaussian => 0,
            Self::Rademacher => 1,
        }
    }
}

impl fmt::Display for NoiseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gaussian => "gaussian",
            Self::Rademacher => "rademacher",
        })
    }
}
