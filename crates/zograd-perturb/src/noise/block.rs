/// Bytes of a block of the ChaCha keystream, the unit in which its counter counts.
pub(super) const BLOCK: usize = 64;
