//! The number of a name.

use serde::{Deserialize, Serialize};

/// The number that selects a tensor's noise: a hash of its name.
///
/// Taken from the name alone, so that it depends neither on the order in which parameters are
/// visited nor on which others move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TensorId(u64);

impl TensorId {
    /// The id of the tensor with this name: 64-bit FNV-1a of its UTF-8 bytes.
    pub const fn of(name: &str) -> Self {
        let (bytes, mut hash, mut i) = (name.as_bytes(), 0xcbf2_9ce4_8422_2325u64, 0);
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
            i += 1;
        }
        Self(hash)
    }

    /// The number itself.
    pub const fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a's published test vector, and the id of a real name.
    #[test]
    fn value_stability() {
        assert_eq!(TensorId::of("foobar").value(), 0x85944171f73967e8);
    }
}
