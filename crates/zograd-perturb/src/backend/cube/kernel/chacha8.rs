//! The keystream, a block a unit.

use crate::noise::BLOCK_WORDS;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// The block `counter` of the keystream of a tensor under a seed; `stream` is the nonce.
#[cube]
pub(super) fn chacha8(
    block: &mut Array<u32>,
    seed_low: u32,
    seed_high: u32,
    tensor_low: u32,
    tensor_high: u32,
    counter: u32,
    stream: u32,
) {
    let mut start = Array::<u32>::new(BLOCK_WORDS);
    // "expand 32-byte k"
    start[0] = 0x6170_7865u32;
    start[1] = 0x3320_646eu32;
    start[2] = 0x7962_2d32u32;
    start[3] = 0x6b20_6574u32;
    start[4] = seed_low;
    start[5] = seed_high;
    start[6] = tensor_low;
    start[7] = tensor_high;
    // "zograd noise v2\0"
    start[8] = 0x7267_6f7au32;
    start[9] = 0x6e20_6461u32;
    start[10] = 0x6573_696fu32;
    start[11] = 0x0032_7620u32;
    start[12] = counter;
    start[13] = 0u32;
    start[14] = stream;
    start[15] = 0u32;
    #[unroll]
    for i in 0..BLOCK_WORDS {
        block[i] = start[i];
    }
    #[unroll]
    for _ in 0..4 {
        quarter_round(block, 0usize, 4usize, 8usize, 12usize);
        quarter_round(block, 1usize, 5usize, 9usize, 13usize);
        quarter_round(block, 2usize, 6usize, 10usize, 14usize);
        quarter_round(block, 3usize, 7usize, 11usize, 15usize);
        quarter_round(block, 0usize, 5usize, 10usize, 15usize);
        quarter_round(block, 1usize, 6usize, 11usize, 12usize);
        quarter_round(block, 2usize, 7usize, 8usize, 13usize);
        quarter_round(block, 3usize, 4usize, 9usize, 14usize);
    }
    #[unroll]
    for i in 0..BLOCK_WORDS {
        block[i] += start[i];
    }
}

#[cube]
fn quarter_round(
    w: &mut Array<u32>,
    #[comptime] a: usize,
    #[comptime] b: usize,
    #[comptime] c: usize,
    #[comptime] d: usize,
) {
    w[a] += w[b];
    w[d] = rotated(w[d] ^ w[a], 16u32);
    w[c] += w[d];
    w[b] = rotated(w[b] ^ w[c], 12u32);
    w[a] += w[b];
    w[d] = rotated(w[d] ^ w[a], 8u32);
    w[c] += w[d];
    w[b] = rotated(w[b] ^ w[c], 7u32);
}

#[cube]
fn rotated(x: u32, #[comptime] by: u32) -> u32 {
    (x << by) | (x >> comptime!(32 - by))
}
