//! The ChaCha8 keystream, a group of blocks at a time: one word of as many of them as have room in each register.

use super::group::{BLOCK_WORDS, BLOCKS, Group};
#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512};
use crate::vector::{Baseline, Instructions, Vector};

/// ChaCha8 has four times a round over the columns and one over the diagonals.
const DOUBLE_ROUNDS: usize = 4;

/// "expand 32-byte k" as little-endian words.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The random bits of a key and a nonce.
pub(crate) struct Keystream {
    /// The state before the rounds, but for the counter of blocks.
    start: [u32; BLOCK_WORDS],
}

impl Keystream {
    pub(super) fn new(key: [u8; 32], nonce: u64) -> Self {
        let mut start = [0; BLOCK_WORDS];
        let words = key
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word));
        for (word, value) in start.iter_mut().zip(CONSTANTS.into_iter().chain(words)) {
            *word = value;
        }
        start[14] = nonce as u32;
        start[15] = (nonce >> 32) as u32;
        Self { start }
    }

    /// Writes the group of this number into `group`.
    pub(crate) fn read(&self, number: u64, instructions: Instructions, group: &mut Group) {
        match instructions {
            // SAFETY: an `Instructions` names what this machine has, and `Baseline` is everywhere.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { make_avx2(&self.start, number, group) },
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { make_avx512(&self.start, number, group) },
            _ => unsafe { make::<Baseline>(&self.start, number, group) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn make_avx2(start: &[u32; BLOCK_WORDS], number: u64, group: &mut Group) {
    // SAFETY: the instructions are there.
    unsafe { make::<Avx2>(start, number, group) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn make_avx512(start: &[u32; BLOCK_WORDS], number: u64, group: &mut Group) {
    // SAFETY: the instructions are there.
    unsafe { make::<Avx512>(start, number, group) }
}

/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn make<V: Vector>(start: &[u32; BLOCK_WORDS], number: u64, group: &mut Group) {
    let first = number.wrapping_mul(BLOCKS as u64);
    for lane in (0..BLOCKS).step_by(V::LANES) {
        // SAFETY: the instructions are there by this function's condition, and `lane` is one.
        unsafe {
            let before = |word: usize| match word {
                // no carry: `first` is a multiple of 16
                12 => V::splat(first as u32 + lane as u32).add(V::lane_numbers()),
                13 => V::splat((first >> 32) as u32),
                _ => V::splat(start[word]),
            };
            let mut x = [V::splat(0); BLOCK_WORDS];
            for (word, x) in x.iter_mut().enumerate() {
                *x = before(word);
            }
            for _ in 0..DOUBLE_ROUNDS {
                for i in 0..4 {
                    quarter_round(&mut x, [i, 4 + i, 8 + i, 12 + i]);
                }
                for i in 0..4 {
                    let diagonal = [i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4];
                    quarter_round(&mut x, diagonal);
                }
            }
            for (word, (row, x)) in group.0.iter_mut().zip(x).enumerate() {
                x.add(before(word)).store(row, lane);
            }
        }
    }
}

/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn quarter_round<V: Vector>(x: &mut [V; BLOCK_WORDS], [a, b, c, d]: [usize; 4]) {
    // SAFETY: the instructions are there.
    unsafe {
        x[a] = x[a].add(x[b]);
        x[d] = x[d].xor(x[a]).rotated::<16>();
        x[c] = x[c].add(x[d]);
        x[b] = x[b].xor(x[c]).rotated::<12>();
        x[a] = x[a].add(x[b]);
        x[d] = x[d].xor(x[a]).rotated::<8>();
        x[c] = x[c].add(x[d]);
        x[b] = x[b].xor(x[c]).rotated::<7>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    /// Whatever instructions this machine has: the words of another implementation, also where the low half of the
    /// counter of blocks ends and where the counter does.
    #[test]
    fn is_chacha8() {
        let key = std::array::from_fn(|i| (i * 37) as u8);
        let stream = Keystream::new(key, 3 << 32 | 5);
        for number in [0, 5, (1 << 28) - 1, 1 << 28, (1 << 60) - 1] {
            let mut rng = ChaCha8Rng::from_seed(key);
            rng.set_stream(3 << 32 | 5);
            rng.set_word_pos(u128::from(number) * (BLOCKS * BLOCK_WORDS) as u128);
            let mut expected = Group::EMPTY;
            for block in 0..BLOCKS {
                for row in &mut expected.0 {
                    row[block] = rng.next_u32();
                }
            }
            for instructions in Instructions::available() {
                let mut group = Group::EMPTY;
                stream.read(number, instructions, &mut group);
                assert!(group.0 == expected.0, "{instructions}, group {number}");
            }
        }
    }
}
