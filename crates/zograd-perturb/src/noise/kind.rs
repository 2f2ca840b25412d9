use super::group::GROUP_BITS;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The distribution of every coordinate of `z`: symmetric, mean 0, variance 1, independent.
///
/// The estimators need no more than that; the paper and MeZO's code use Gaussian noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoiseKind {
    /// As a standard normal up to the sixth moment, from 8 random bits: one of 117 multiples of 1/32, at most 3.03.
    #[default]
    Gaussian,
    /// +1 or -1 from one random bit: the cheapest noise, with the same moments up to the third.
    Rademacher,
}

impl NoiseKind {
    /// All kinds, in the order of their keystream numbers.
    pub const ALL: [Self; 2] = [Self::Gaussian, Self::Rademacher];

    /// Random bits that one element takes.
    pub(crate) const fn bits(self) -> usize {
        match self {
            Self::Gaussian => 8,
            Self::Rademacher => 1,
        }
    }

    /// Elements whose bits are one group of blocks of the keystream.
    pub(crate) const fn elements_of_group(self) -> usize {
        GROUP_BITS / self.bits()
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
