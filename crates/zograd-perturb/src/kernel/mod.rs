//! The pass over a tensor on the CPU: noise in L1, threads over chunks.

mod accumulate;
#[cfg(target_arch = "x86_64")]
mod gaussian_avx512;
mod moved;
mod shift;
mod weight;

use crate::NoisePass;
use crate::noise::{ALIGNMENT, BitStream};
use accumulate::Accumulator;
pub(crate) use moved::moved;
use rayon::prelude::*;
pub(crate) use shift::Shift;
use std::ops::Range;
pub(crate) use weight::Weight;
use zograd_direction::Seed;

/// Elements per task: enough work (some ten microseconds) to hide rayon's overhead, few enough to
/// balance threads. A multiple of [`ALIGNMENT`].
const CHUNK: usize = 64 * ALIGNMENT;

/// Elements whose sums live on the stack at a time: 4 KiB, in L1 beside the bits of some streams.
const TILE: usize = 2 * ALIGNMENT;

/// Bytes of a stream that are read at a time: 32 blocks of the keystream, which wide instructions make together.
const BITS: usize = 2048;

/// Applies `pass` to the whole tensor.
pub(crate) fn add_noise<W: Weight>(weights: &mut [W], pass: &NoisePass<'_>) {
    add_noise_in_chunks(weights, pass, CHUNK, Accumulator::detect());
}

/// As [`add_noise`], with the chunk (a multiple of [`TILE`]) and the instruction set to use: neither may
/// change a bit.
fn add_noise_in_chunks<W: Weight>(
    weights: &mut [W],
    pass: &NoisePass<'_>,
    chunk: usize,
    accumulator: Accumulator,
) {
    weights
        .par_chunks_mut(chunk)
        .enumerate()
        .for_each(|(k, part)| add_noise_from(part, k * chunk, pass, accumulator));
}

/// One task: `weights` are the elements from `start` (aligned) on.
fn add_noise_from<W: Weight>(
    weights: &mut [W],
    start: usize,
    pass: &NoisePass<'_>,
    accumulator: Accumulator,
) {
    let mut streams = streams_at(start, pass);
    for part in weights.chunks_mut(BITS * 8 / pass.kind.bits()) {
        let bytes = pass.kind.bytes(part.len());
        for stream in &mut streams {
            stream.read(bytes);
        }
        for (k, tile) in part.chunks_mut(TILE).enumerate() {
            let first = pass.kind.bytes(k * TILE);
            let bits = first..first + pass.kind.bytes(tile.len());
            add_streams(tile, &streams, bits, pass, accumulator);
        }
    }
}

/// A stream, the bits that were read last, and the terms of its seed.
struct Stream<'a> {
    bits: BitStream,
    read: [u8; BITS],
    terms: &'a [(Seed, f32)],
}

impl Stream<'_> {
    /// Reads so many bytes more.
    fn read(&mut self, bytes: usize) {
        self.bits.read(&mut self.read[..bytes]);
    }
}

/// The streams of a pass, standing at element `start` (aligned).
fn streams_at<'a>(start: usize, pass: &NoisePass<'a>) -> Vec<Stream<'a>> {
    // neighbours of the same seed share their noise
    pass.terms
        .chunk_by(|a, b| a.0 == b.0)
        .map(|terms| Stream {
            bits: BitStream::at(terms[0].0, pass.tensor, pass.kind, start as u64),
            read: [0; BITS],
            terms,
        })
        .collect()
}

/// One tile; `bits` says where its bits lie among those read.
fn add_streams<W: Weight>(
    weights: &mut [W],
    streams: &[Stream<'_>],
    bits: Range<usize>,
    pass: &NoisePass<'_>,
    accumulator: Accumulator,
) {
    let (kind, shift) = (pass.kind, Shift::of(pass));
    // most passes are of one seed: their sums need no memory
    if let [stream] = streams {
        let bits = &stream.read[bits.clone()];
        match *stream.terms {
            [(_, a)] => return accumulator.add_one(kind, bits, [a], shift, weights),
            [(_, a), (_, b)] => return accumulator.add_one(kind, bits, [a, b], shift, weights),
            _ => {}
        }
    }
    let mut sums = [0f32; TILE];
    let sums = &mut sums[..weights.len()];
    sum_streams(sums, streams, bits, pass, accumulator);
    accumulator.apply(weights, shift, sums);
}

/// Makes `sums` those of a tile.
fn sum_streams(
    sums: &mut [f32],
    streams: &[Stream<'_>],
    bits: Range<usize>,
    pass: &NoisePass<'_>,
    accumulator: Accumulator,
) {
    sums.fill(pass.base());
    for stream in streams {
        let bits = &stream.read[bits.clone()];
        for pair in stream.terms.chunks(2) {
            match *pair {
                [(_, a), (_, b)] => accumulator.add(pass.kind, bits, [a, b], sums),
                [(_, a), ..] => accumulator.add(pass.kind, bits, [a], sums),
                [] => {}
            }
        }
    }
}

/// Makes `sums` those of the opposite coefficients: on a grid and without one the arithmetic is odd about the base.
fn mirror(sums: &mut [f32], base: f32) {
    for sum in sums {
        *sum = base - (*sum - base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Grid, NoiseKind, TensorId, noise};
    use half::{bf16, f16};
    use proptest::prelude::*;

    /// The definition of a pass, element by element.
    fn by_definition<W: Weight>(weights: &[W], pass: &NoisePass<'_>) -> Vec<W> {
        let mut sums = vec![pass.base(); weights.len()];
        let mut z = vec![0f32; weights.len()];
        for &(seed, c) in pass.terms {
            noise::fill(seed, pass.tensor, pass.kind, 0, &mut z);
            for (sum, z) in sums.iter_mut().zip(&z) {
                *sum = c.mul_add(*z, *sum);
            }
        }
        let moved = weights.iter().zip(&sums);
        moved
            .map(|(w, sum)| w.moved(Shift::of(pass), *sum))
            .collect()
    }

    fn weights(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 37 % 1009) as f32 - 500.0) / 333.0)
            .collect()
    }

    fn pass(kind: NoiseKind, terms: &[(Seed, f32)], shrink: f32) -> NoisePass<'_> {
        NoisePass {
            tensor: TensorId::of("decoder.layers.0.fc1.weight"),
            kind,
            terms,
            shrink,
            dither: 0.0,
            grid: None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Any number of threads, any chunking, any instruction set: the bits of the definition.
        #[test]
        fn bits_do_not_depend_on_threads_chunks_or_instructions(
            n in 1usize..40_000,
            coefficients in prop::collection::vec(-2f32..2.0, 0..4),
            repeat in 1u64..4,
            shrink in prop_oneof![Just(0.0f32), 0.0f32..0.1],
            grid in prop_oneof![Just(None), Just(Some(Grid::holding(1.6, 0.1, 0.0)))],
            dither in prop_oneof![Just(0.0f32), -10f32..10.0],
        ) {
            // some neighbours have the same seed
            let terms: Vec<_> = (1u64..).map(|k| Seed::new(k / repeat)).zip(coefficients).collect();
            for kind in NoiseKind::ALL {
                let pass = NoisePass { grid, dither, ..pass(kind, &terms, shrink) };
                let expected = by_definition(&weights(n), &pass);
                for threads in [1, 2, 7] {
                    let pool = rayon::ThreadPoolBuilder::new()
                        .num_threads(threads)
                        .build()
                        .expect("a thread pool");
                    for chunk in [TILE, 3 * TILE, CHUNK] {
                        for accumulator in Accumulator::available() {
                            let mut actual = weights(n);
                            pool.install(|| {
                                add_noise_in_chunks(&mut actual, &pass, chunk, accumulator);
                            });
                            prop_assert_eq!(&actual, &expected);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn half_precision_rounds_once() {
        let terms = [(Seed::new(3), 0.125), (Seed::new(9), -0.5)];
        let pass = pass(NoiseKind::Gaussian, &terms, 0.01);
        let exact = weights(5000);
        let mut narrow: Vec<f16> = exact.iter().map(|w| f16::from_f32(*w)).collect();
        let mut brain: Vec<bf16> = exact.iter().map(|w| bf16::from_f32(*w)).collect();
        let mut wide: Vec<f64> = exact.iter().map(|w| f64::from(*w)).collect();
        let expected = (
            by_definition(&narrow, &pass),
            by_definition(&brain, &pass),
            by_definition(&wide, &pass),
        );
        add_noise(&mut narrow, &pass);
        add_noise(&mut brain, &pass);
        add_noise(&mut wide, &pass);
        assert_eq!((narrow, brain, wide), expected);
    }

    #[test]
    fn an_empty_tensor_and_an_empty_direction_are_fine() {
        add_noise::<f32>(&mut [], &pass(NoiseKind::Gaussian, &[], 0.0));
        let mut w = weights(100);
        add_noise(&mut w, &pass(NoiseKind::Gaussian, &[], 0.0));
        assert_eq!(w, weights(100));
    }
}
