//! The ChaCha8 keystream, from any block on.

use super::block::BLOCK;
#[cfg(target_arch = "x86_64")]
use super::keystream_avx512;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Random bytes that are read in whole blocks, but for the last ones.
pub(crate) struct Keystream {
    key: [u8; 32],
    nonce: u64,
    block: u64,
}

impl Keystream {
    /// The stream of a key and a nonce, standing at a block.
    pub(crate) fn at(key: [u8; 32], nonce: u64, block: u64) -> Self {
        Self { key, nonce, block }
    }

    /// Reads the next bytes. What is left of the last block is skipped.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature is there.
            unsafe { keystream_avx512::fill(&self.key, self.nonce, self.block, bytes) };
            self.block += bytes.len().div_ceil(BLOCK) as u64;
            return;
        }
        self.read_portable(bytes);
    }

    /// By `rand_chacha`, which uses AVX2 and NEON where they are.
    fn read_portable(&mut self, bytes: &mut [u8]) {
        let mut rng = ChaCha8Rng::from_seed(self.key);
        rng.set_stream(self.nonce);
        rng.set_word_pos(u128::from(self.block) * (BLOCK / 4) as u128);
        rng.fill_bytes(bytes);
        self.block += bytes.len().div_ceil(BLOCK) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever instructions this machine has: the same bytes, in any pieces, also where the low half of the
    /// block counter overflows.
    #[test]
    fn is_chacha8() {
        let key = std::array::from_fn(|i| (i * 37) as u8);
        for block in [0, 5, u64::from(u32::MAX) - 9, u64::MAX >> 8] {
            let mut expected = vec![0; 70 * BLOCK];
            Keystream::at(key, 3, block).read_portable(&mut expected);
            for pieces in [vec![70], vec![16, 16, 38], vec![1, 15, 17, 37]] {
                let mut stream = Keystream::at(key, 3, block);
                let mut found = Vec::new();
                for blocks in pieces {
                    let mut bytes = vec![0; blocks * BLOCK];
                    stream.read(&mut bytes);
                    found.extend(bytes);
                }
                assert!(found == expected, "from block {block}");
            }
            for length in [1, 63, 65, 1023, 1025, 3000] {
                let mut bytes = vec![0; length];
                Keystream::at(key, 3, block).read(&mut bytes);
                assert!(bytes == expected[..length], "{length} bytes from {block}");
            }
        }
    }
}
