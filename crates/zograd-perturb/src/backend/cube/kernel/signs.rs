//! A cube takes one group of blocks of the keystream: some units make them, all share them, each for 32 weights.

use super::super::words::{NORMALS, STREAM};
use super::chacha8::chacha8;
use super::{Shift, moved};
use crate::noise::{BLOCK_WORDS, BLOCKS};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Units of a cube.
pub(in crate::backend::cube) const UNITS: usize = 256;

/// Weights that a cube moves.
pub(in crate::backend::cube) const WEIGHTS_OF_CUBE: usize = 32 * BLOCK_WORDS * BLOCKS;

/// Weights that a unit moves.
const WEIGHTS: usize = WEIGHTS_OF_CUBE / UNITS;

/// Rows of 16 weights that the units of a cube move together.
const ROWS: usize = UNITS / BLOCKS;

#[cube(launch_unchecked)]
pub(in crate::backend::cube) fn add_noise<W: Float>(
    weights: &mut Array<W>,
    words: &Array<u32>,
    tensor_low: u32,
    tensor_high: u32,
    shift: Shift,
    #[define(W)] _dtype: StorageType,
) {
    let unit = UNIT_POS as usize;
    let first = CUBE_POS * WEIGHTS_OF_CUBE;
    if first >= weights.len() {
        terminate!();
    }
    let mut sums = Array::<f32>::new(WEIGHTS);
    #[unroll]
    for i in 0..WEIGHTS {
        sums[i] = shift.base;
    }
    // word `w` of block `b` at 16 w + b
    let mut group = SharedMemory::<u32>::new(comptime!(BLOCK_WORDS * BLOCKS));
    for stream in 0..(words.len() - NORMALS) / STREAM {
        let at = NORMALS + STREAM * stream;
        if unit < BLOCKS {
            let (low, high) = (words[at], words[at + 1]);
            let counter = (CUBE_POS * BLOCKS + unit) as u32;
            let mut block = Array::<u32>::new(BLOCK_WORDS);
            chacha8(&mut block, low, high, tensor_low, tensor_high, counter, 1);
            #[unroll]
            for w in 0..BLOCK_WORDS {
                group[comptime!(BLOCKS * w) + unit] = block[w];
            }
        }
        sync_cube();
        let a = words[at + 2];
        let b = words[at + 3];
        #[unroll]
        for i in 0..WEIGHTS {
            // bit `row` of a block, counted through its words
            let row = (comptime!(ROWS * i) + unit / BLOCKS) as u32;
            let word = group[(row / 32) as usize * BLOCKS + unit % BLOCKS];
            let sign = ((word >> (row % 32)) & 1) << 31;
            sums[i] += f32::reinterpret(a ^ sign);
            sums[i] += f32::reinterpret(b ^ sign);
        }
        sync_cube();
    }
    if first + WEIGHTS_OF_CUBE <= weights.len() {
        // reads are under way together, which a check or a write between them would not allow
        let mut old = Array::<W>::new(WEIGHTS);
        #[unroll]
        for i in 0..WEIGHTS {
            old[i] = weights[first + comptime!(UNITS * i) + unit];
        }
        #[unroll]
        for i in 0..WEIGHTS {
            let place = first + comptime!(UNITS * i) + unit;
            weights[place] = moved::<W>(old[i], sums[i], shift);
        }
    } else {
        #[unroll]
        for i in 0..WEIGHTS {
            let place = first + comptime!(UNITS * i) + unit;
            if place < weights.len() {
                weights[place] = moved::<W>(weights[place], sums[i], shift);
            }
        }
    }
}
