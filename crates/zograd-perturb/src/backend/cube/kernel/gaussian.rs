//! A unit takes one block of the keystream: bytes for 64 weights, 16 apart.

use super::super::words::{NORMALS, STREAM};
use super::chacha8::chacha8;
use super::{Shift, moved};
use crate::noise::{BLOCK_WORDS, BLOCKS};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Weights that a unit moves.
pub(in crate::backend::cube) const WEIGHTS: usize = 4 * BLOCK_WORDS;

/// Weights that a unit reads before it writes the first of them.
const AT_ONCE: usize = 16;

#[cube(launch_unchecked)]
pub(in crate::backend::cube) fn add_noise<W: Float>(
    weights: &mut Array<W>,
    words: &Array<u32>,
    tensor_low: u32,
    tensor_high: u32,
    shift: Shift,
    #[define(W)] _dtype: StorageType,
) {
    // a byte finds its normal in the memory that the units of a cube share
    let mut normals = SharedMemory::<f32>::new(NORMALS);
    let mut entry = UNIT_POS as usize;
    while entry < NORMALS {
        normals[entry] = f32::reinterpret(words[entry]);
        entry += CUBE_DIM as usize;
    }
    sync_cube();

    let group = ABSOLUTE_POS / BLOCKS;
    let first = group * comptime!(BLOCKS * WEIGHTS) + ABSOLUTE_POS % BLOCKS;
    if first >= weights.len() {
        terminate!();
    }
    let mut sums = Array::<f32>::new(WEIGHTS);
    #[unroll]
    for i in 0..WEIGHTS {
        sums[i] = shift.base;
    }
    let mut block = Array::<u32>::new(BLOCK_WORDS);
    for stream in 0..(words.len() - NORMALS) / STREAM {
        let at = NORMALS + STREAM * stream;
        let (low, high) = (words[at], words[at + 1]);
        let a = f32::reinterpret(words[at + 2]);
        let b = f32::reinterpret(words[at + 3]);
        let counter = ABSOLUTE_POS as u32;
        chacha8(&mut block, low, high, tensor_low, tensor_high, counter, 0);
        #[unroll]
        for i in 0..WEIGHTS {
            let byte = (block[i / 4] >> comptime!(8 * (i as u32 % 4))) & 0xff;
            let z = normals[byte as usize];
            sums[i] = fma(b, z, fma(a, z, sums[i]));
        }
    }
    if first + comptime!(BLOCKS * (WEIGHTS - 1)) < weights.len() {
        // reads are under way together, which a check or a write between them would not allow
        let mut old = Array::<W>::new(AT_ONCE);
        #[unroll]
        for round in 0..comptime!(WEIGHTS / AT_ONCE) {
            let start = first + comptime!(BLOCKS * AT_ONCE * round);
            #[unroll]
            for i in 0..AT_ONCE {
                old[i] = weights[start + comptime!(BLOCKS * i)];
            }
            #[unroll]
            for i in 0..AT_ONCE {
                let sum = sums[comptime!(AT_ONCE * round + i)];
                weights[start + comptime!(BLOCKS * i)] = moved::<W>(old[i], sum, shift);
            }
        }
    } else {
        #[unroll]
        for i in 0..WEIGHTS {
            let place = first + comptime!(BLOCKS * i);
            if place < weights.len() {
                weights[place] = moved::<W>(weights[place], sums[i], shift);
            }
        }
    }
}
