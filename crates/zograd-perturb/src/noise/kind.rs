use serde::{Deserialize, Serialize};
use std::fmt;

/// The distribution of every coordinate of `z`: mean 0, variance 1, independent.
///
/// The estimators need no more than that; the paper and MeZO's code use Gaussian noise.
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

    /// Random bits that one element takes.
    pub(crate) const fn bits(self) -> usize {
        match self {
            Self::Gaussian => 16,
            Self::Rademacher => 1,
        }
    }

    /// Bytes that this many elements take, in whole 32-bit words where an element takes less than one byte.
    pub(crate) const fn bytes(self, elements: usize) -> usize {
        match self {
            Self::Gaussian => elements * 2,
            Self::Rademacher => elements.div_ceil(32) * 4,
        }
    }

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
