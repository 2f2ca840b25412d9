use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of one noise vector over all parameters of a model.
///
/// Two equal seeds are the same noise on every machine and backend; two different seeds are
/// independent noise. A seed carries no state.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Seed(u64);

impl Seed {
    /// The seed with this number.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number of this seed.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The `index`-th child of this seed: child seeds of one parent never collide, and children of
    /// different parents collide no more often than random 64-bit numbers do.
    ///
    /// A run derives the seed of each step from its own, and a step those of its candidates. (The
    /// originals use `base + i`, so candidates of different steps may coincide.)
    ///
    /// The child is `mix(mix(parent) + (index + 1) * 0x9e3779b97f4a7c15)` with the SplitMix64 finaliser of
    /// Stafford ("Mix13") as `mix`. It is a bijection in `index` for a fixed parent.
    pub const fn child(self, index: u64) -> Self {
        let step = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(mix(mix(self.0 ^ 0x7a6f_6772_6164_0001).wrapping_add(step)))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<u64> for Seed {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

/// SplitMix64's finaliser (Stafford's variant 13): a bijection of the 64-bit numbers.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// These numbers are part of every trajectory: a change here changes all runs.
    #[test]
    fn value_stability() {
        let run = Seed::new(42);
        assert_eq!(run.child(0).value(), 0xe9ab_b3aa_8f4e_2dc5);
        assert_eq!(run.child(1).value(), 0xcc1f_0ad7_039d_3ca8);
        assert_eq!(run.child(0).child(0).value(), 0xd93e_75e7_150d_a7c8);
    }

    #[test]
    fn neighbouring_parents_and_indices_share_no_child() {
        let mut seen = HashSet::new();
        for parent in 0..500 {
            for index in 0..500 {
                assert!(seen.insert(Seed::new(parent).child(index)));
            }
        }
    }

    #[test]
    fn serialises_as_a_number() {
        let seed = Seed::new(u64::MAX);
        let text = serde_json::to_string(&seed).expect("a number");
        assert_eq!(text, "18446744073709551615");
        assert_eq!(
            serde_json::from_str::<Seed>(&text).expect("the same number"),
            seed
        );
    }
}
