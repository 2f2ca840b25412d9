//! Sixteen blocks of ChaCha8 at a time: one word of the state of all of them in each register.

use super::block::BLOCK;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

/// Blocks made together.
const LANES: usize = 16;
/// Their bytes.
const BATCH: usize = LANES * BLOCK;
/// ChaCha8 has four times a round over the columns and one over the diagonals.
const DOUBLE_ROUNDS: usize = 4;
/// "expand 32-byte k" as little-endian words.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

type State = [__m512i; 16];

/// Fills `bytes` with the keystream from `block` on.
#[target_feature(enable = "avx512f")]
pub(super) fn fill(key: &[u8; 32], nonce: u64, block: u64, bytes: &mut [u8]) {
    let mut start = [_mm512_setzero_si512(); 16];
    let words = key.as_chunks().0.iter().map(|w| u32::from_le_bytes(*w));
    let fixed = CONSTANTS.into_iter().chain(words);
    for (word, value) in start.iter_mut().zip(fixed) {
        *word = _mm512_set1_epi32(value as i32);
    }
    start[14] = _mm512_set1_epi32(nonce as i32);
    start[15] = _mm512_set1_epi32((nonce >> 32) as i32);
    let (batches, rest) = bytes.as_chunks_mut::<BATCH>();
    let mut block = block;
    for batch in batches {
        make(&mut start, block, batch);
        block = block.wrapping_add(LANES as u64);
    }
    if !rest.is_empty() {
        let mut batch = [0; BATCH];
        make(&mut start, block, &mut batch);
        rest.copy_from_slice(&batch[..rest.len()]);
    }
}

/// The blocks from `block` on; `start` is the state before the rounds, but for the counter.
#[inline]
#[target_feature(enable = "avx512f")]
fn make(start: &mut State, block: u64, out: &mut [u8; BATCH]) {
    let counters: [u64; LANES] = std::array::from_fn(|lane| block.wrapping_add(lane as u64));
    start[12] = load(&counters.map(|counter| counter as u32));
    start[13] = load(&counters.map(|counter| (counter >> 32) as u32));
    let mut x = *start;
    for _ in 0..DOUBLE_ROUNDS {
        for column in 0..4 {
            quarter_round(&mut x, [column, 4 + column, 8 + column, 12 + column]);
        }
        for i in 0..4 {
            let diagonal = [i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4];
            quarter_round(&mut x, diagonal);
        }
    }
    for (word, start) in x.iter_mut().zip(start.iter()) {
        *word = _mm512_add_epi32(*word, *start);
    }
    for (block, out) in transposed(&x).iter().zip(out.as_chunks_mut::<BLOCK>().0) {
        // SAFETY: `out` is 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *block) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u32; LANES]) -> __m512i {
    // SAFETY: `words` is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn quarter_round(x: &mut State, [a, b, c, d]: [usize; 4]) {
    x[a] = _mm512_add_epi32(x[a], x[b]);
    x[d] = _mm512_rol_epi32::<16>(_mm512_xor_si512(x[d], x[a]));
    x[c] = _mm512_add_epi32(x[c], x[d]);
    x[b] = _mm512_rol_epi32::<12>(_mm512_xor_si512(x[b], x[c]));
    x[a] = _mm512_add_epi32(x[a], x[b]);
    x[d] = _mm512_rol_epi32::<8>(_mm512_xor_si512(x[d], x[a]));
    x[c] = _mm512_add_epi32(x[c], x[d]);
    x[b] = _mm512_rol_epi32::<7>(_mm512_xor_si512(x[b], x[c]));
}

/// Rows become columns: register `k` of the result holds the 16 words of block `k`.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(x: &State) -> State {
    let mut quads = [_mm512_setzero_si512(); 16];
    // four words of four blocks: `quads[4 g + j]` has words 4 g .. 4 g + 4 of the blocks j, 4 + j, 8 + j, 12 + j
    for (quad, x) in quads
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(x.as_chunks::<4>().0)
    {
        let [a, b, c, d] = *x;
        let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
        quad[0] = _mm512_unpacklo_epi64(ab, cd);
        quad[1] = _mm512_unpackhi_epi64(ab, cd);
        let (ab, cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
        quad[2] = _mm512_unpacklo_epi64(ab, cd);
        quad[3] = _mm512_unpackhi_epi64(ab, cd);
    }
    let mut blocks = [_mm512_setzero_si512(); 16];
    for j in 0..4 {
        let [a, b, c, d] = [quads[j], quads[4 + j], quads[8 + j], quads[12 + j]];
        let low = [
            _mm512_shuffle_i32x4::<0x44>(a, b),
            _mm512_shuffle_i32x4::<0x44>(c, d),
        ];
        let high = [
            _mm512_shuffle_i32x4::<0xee>(a, b),
            _mm512_shuffle_i32x4::<0xee>(c, d),
        ];
        blocks[j] = _mm512_shuffle_i32x4::<0x88>(low[0], low[1]);
        blocks[4 + j] = _mm512_shuffle_i32x4::<0xdd>(low[0], low[1]);
        blocks[8 + j] = _mm512_shuffle_i32x4::<0x88>(high[0], high[1]);
        blocks[12 + j] = _mm512_shuffle_i32x4::<0xdd>(high[0], high[1]);
    }
    blocks
}
