use super::{Keystream, NoiseKind};
use crate::TensorId;
use zograd_direction::Seed;

/// The key of a tensor's random bits under a seed.
pub(crate) fn key(seed: Seed, tensor: TensorId) -> [u8; 32] {
    let mut key = *b"........|||||||.zograd noise v2\0";
    key[..8].copy_from_slice(&seed.value().to_le_bytes());
    key[8..16].copy_from_slice(&tensor.value().to_le_bytes());
    key
}

/// The random bits of one tensor under one seed.
pub(crate) fn stream(seed: Seed, tensor: TensorId, kind: NoiseKind) -> Keystream {
    Keystream::new(key(seed, tensor), kind.keystream())
}
