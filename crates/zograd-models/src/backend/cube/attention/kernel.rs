//! Attention of packed tokens as a CubeCL kernel: scores live in shared memory alone.

// The cube macro writes functions and structures that have no documentation.
#![allow(missing_docs)]
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel takes each buffer and each number that its launch binds"
)]

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Neighbouring queries that a cube answers, for one head.
pub(super) const QUERIES: usize = 16;

/// Keys that it looks at together.
const KEYS: usize = 32;

/// Units that share a query.
const PARTS: usize = 8;

/// Units of a cube.
pub(super) const UNITS: usize = QUERIES * PARTS;

/// The score of a key that must not be seen, and where maxima start: its weight is exactly 0.
const HIDDEN: f32 = -1e30;

/// `out = softmax(scale Q K^T) V` for [`QUERIES`] packed tokens (by `CUBE_POS_X`) and one head (`CUBE_POS_Y`), in f32
/// whatever is stored.
///
/// A token sees all of the prefix and, of the packed tokens, a run of others and its own kind up to itself: `seen` holds
/// the start and the end of the one and the start of the other, three numbers a token. Keys are taken [`KEYS`] at a
/// time, the prefix first, with a running maximum and sum (Milakov and Gimelshein, arXiv 1805.02867).
#[cube(launch_unchecked)]
pub(super) fn attend<W: Float>(
    query: &Array<W>,
    keys: &Array<W>,
    values: &Array<W>,
    prefix_keys: &Array<W>,
    prefix_values: &Array<W>,
    seen: &Array<i32>,
    out: &mut Array<W>,
    tokens: u32,
    prefix: u32,
    hidden: u32,
    shared: u32,
    group: u32,
    scale: f32,
    #[comptime] width: usize,
    #[define(W)] _dtype: StorageType,
) {
    let unit = UNIT_POS as usize;
    let first = CUBE_POS_X as usize * QUERIES;
    let column = CUBE_POS_Y as usize * width;
    // `group` heads of the queries have one head of keys and values, whose rows are `shared` numbers apart
    let shared_column = CUBE_POS_Y as usize / group as usize * width;
    let (tokens, prefix, hidden) = (tokens as usize, prefix as usize, hidden as usize);
    let shared = shared as usize;

    // a column more than there are, so that units which read one column of many rows do not wait for one another
    let stride = comptime!(width + 1);
    let mut q = SharedMemory::<f32>::new(comptime!(QUERIES * width));
    let mut tile = SharedMemory::<f32>::new(comptime!(KEYS * (width + 1)));
    let mut scores = SharedMemory::<f32>::new(comptime!(QUERIES * KEYS));
    let mut partial = SharedMemory::<f32>::new(UNITS);
    let mut rescale = SharedMemory::<f32>::new(QUERIES);
    let mut total = SharedMemory::<f32>::new(QUERIES);

    let outputs = comptime!(QUERIES * width / UNITS);
    let mut sums = Array::<f32>::new(outputs);
    #[unroll]
    for i in 0..outputs {
        sums[i] = 0.0;
        let at = unit + comptime!(i * UNITS);
        let token = first + at / width;
        let mut x = 0.0f32;
        if token < tokens {
            x = f32::cast_from(query[token * hidden + column + at % width]) * scale;
        }
        q[at] = x;
    }

    // the query whose softmax this unit shares, and what it has seen so far
    let row = unit / PARTS;
    let part = unit % PARTS;
    let mut max = HIDDEN.runtime();
    let mut sum = 0.0f32;

    // the first packed key that any query of the cube sees; none sees beyond the cube's own tokens
    let end = clamp_max(first + QUERIES, tokens);
    let mut start = end;
    for token in first..end {
        let context = seen[3 * token] as usize;
        let context_end = seen[3 * token + 1] as usize;
        let own = seen[3 * token + 2] as usize;
        start = clamp_max(start, own);
        if context < context_end {
            start = clamp_max(start, context);
        }
    }

    let prefix_tiles = prefix.div_ceil(KEYS);
    let tiles = prefix_tiles + (end - start).div_ceil(KEYS);
    for index in 0..tiles {
        let of_prefix = index < prefix_tiles;
        // the tile's first key among those it belongs to, and where they end
        let mut base = index * KEYS;
        let mut limit = prefix;
        if !of_prefix {
            base = start + (index - prefix_tiles) * KEYS;
            limit = end;
        }
        sync_cube();
        load(
            &mut tile,
            prefix_keys,
            keys,
            of_prefix,
            base,
            limit,
            shared,
            shared_column,
            width,
        );
        sync_cube();

        #[unroll]
        for i in 0..comptime!(QUERIES * KEYS / UNITS) {
            let at = unit + comptime!(i * UNITS);
            let token = first + at / KEYS;
            let key = base + at % KEYS;
            let mut visible = key < limit && token < tokens;
            if visible && !of_prefix {
                let in_context =
                    key >= seen[3 * token] as usize && key < seen[3 * token + 1] as usize;
                let own = key >= seen[3 * token + 2] as usize && key <= token;
                visible = in_context || own;
            }
            let mut score = HIDDEN.runtime();
            if visible {
                score = 0.0;
                let of_query = at / KEYS * width;
                let of_key = at % KEYS * stride;
                for d in 0..width {
                    score = fma(q[of_query + d], tile[of_key + d], score);
                }
            }
            scores[at] = score;
        }
        sync_cube();

        let mine = row * KEYS + part * comptime!(KEYS / PARTS);
        let mut highest = scores[mine];
        #[unroll]
        for i in 1..comptime!(KEYS / PARTS) {
            highest = f32::max(highest, scores[mine + i]);
        }
        partial[unit] = highest;
        sync_cube();
        let old = max;
        #[unroll]
        for i in 0..PARTS {
            max = f32::max(max, partial[row * PARTS + i]);
        }
        let mut weight = 0.0f32;
        #[unroll]
        for i in 0..comptime!(KEYS / PARTS) {
            let score = scores[mine + i];
            let mut p = 0.0f32;
            // a score that is not a number is not hidden: a model that has broken down shows it
            if score != HIDDEN {
                p = f32::exp(score - max);
            }
            scores[mine + i] = p;
            weight += p;
        }
        sync_cube();
        partial[unit] = weight;
        let shrink = f32::exp(old - max);
        rescale[row] = shrink;
        sync_cube();
        sum *= shrink;
        #[unroll]
        for i in 0..PARTS {
            sum += partial[row * PARTS + i];
        }
        load(
            &mut tile,
            prefix_values,
            values,
            of_prefix,
            base,
            limit,
            shared,
            shared_column,
            width,
        );
        sync_cube();

        #[unroll]
        for i in 0..outputs {
            let at = unit + comptime!(i * UNITS);
            let of_query = at / width;
            let mut value = sums[i] * rescale[of_query];
            for key in 0..KEYS {
                value = fma(
                    scores[of_query * KEYS + key],
                    tile[key * stride + at % width],
                    value,
                );
            }
            sums[i] = value;
        }
    }
    total[row] = sum;
    sync_cube();
    #[unroll]
    for i in 0..outputs {
        let at = unit + comptime!(i * UNITS);
        let token = first + at / width;
        if token < tokens {
            out[token * hidden + column + at % width] = W::cast_from(sums[i] / total[at / width]);
        }
    }
}

/// Fills `tile` with [`KEYS`] rows of the prefix or of the packed tokens, from row `base` on; zeros from `limit` on.
#[cube]
fn load<W: Float>(
    tile: &mut SharedMemory<f32>,
    prefix: &Array<W>,
    packed: &Array<W>,
    of_prefix: bool,
    base: usize,
    limit: usize,
    hidden: usize,
    column: usize,
    #[comptime] width: usize,
) {
    let stride = comptime!(width + 1);
    #[unroll]
    for i in 0..comptime!(KEYS * width / UNITS) {
        let at = UNIT_POS as usize + comptime!(i * UNITS);
        let row = base + at / width;
        let mut x = 0.0f32;
        if row < limit {
            let from = row * hidden + column + at % width;
            if of_prefix {
                x = f32::cast_from(prefix[from]);
            } else {
                x = f32::cast_from(packed[from]);
            }
        }
        tile[at / width * stride + at % width] = x;
    }
}
