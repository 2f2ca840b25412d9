//! The pass over a tensor on the CPU: threads over chunks, groups of the keystream in L1, tiles in registers.

mod dense_noise;
mod made;
mod moved;
mod shift;
mod stream;
mod tile;
mod weight;

#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512};
use crate::vector::{Baseline, Instructions, Vector, prefetch};
use crate::{NoiseKind, NoisePass};
pub(crate) use dense_noise::DenseNoise;
pub(crate) use moved::moved;
use rayon::prelude::*;
pub(crate) use shift::Shift;
use stream::Stream;
use tile::TILE;
pub(crate) use weight::Weight;
use weight::{Moving, Tile};

/// Elements per task: enough work (some ten microseconds) to hide rayon's overhead, few enough to
/// balance threads. Whole groups of every kind.
const CHUNK: usize = 4 * NoiseKind::Rademacher.elements_of_group();

/// How far ahead weights are asked for, in tiles: half a group of Gaussian noise, so that some are on their way while the bits
/// of the next group are made and nothing else reads memory. (A whole group was slower: more than can be on their way.)
const AHEAD: usize = 8;

/// Bytes that the caches hold together.
const CACHE_LINE: usize = 64;

/// Applies `pass` to the whole tensor.
pub(crate) fn add_noise<W: Weight>(weights: &mut [W], pass: &NoisePass<'_>) {
    if !pass.made.is_empty() {
        return made::add(weights, pass);
    }
    add_noise_in_chunks(weights, pass, CHUNK, Instructions::in_use());
}

/// As [`add_noise`], with the chunk (whole groups) and the instructions to use: neither may change a bit.
fn add_noise_in_chunks<W: Weight>(
    weights: &mut [W],
    pass: &NoisePass<'_>,
    chunk: usize,
    instructions: Instructions,
) {
    let first_group = |k: usize| (k * chunk / pass.kind.elements_of_group()) as u64;
    weights
        .par_chunks_mut(chunk)
        .enumerate()
        .for_each(|(k, part)| add_noise_from(part, first_group(k), pass, instructions));
}

/// One task: the weights from a group on.
fn add_noise_from<W: Weight>(
    weights: &mut [W],
    first_group: u64,
    pass: &NoisePass<'_>,
    instructions: Instructions,
) {
    let mut streams = Stream::all_of(pass);
    let parts = weights.chunks_mut(pass.kind.elements_of_group());
    for (number, part) in (first_group..).zip(parts) {
        Stream::read_all(&mut streams, number, instructions);
        add_part(part, 0, &streams, pass, instructions);
    }
}

/// Weights of the group that the streams have read: those from its element `start` on.
fn add_part<W: Weight>(
    weights: &mut [W],
    start: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
    instructions: Instructions,
) {
    match instructions {
        // SAFETY: an `Instructions` names what this machine has, and `Baseline` is everywhere.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { add_part_avx2(weights, start, streams, pass) },
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { add_part_avx512(weights, start, streams, pass) },
        _ => unsafe { add_part_by::<W, Baseline>(weights, start, streams, pass) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_part_avx2<W: Weight>(
    weights: &mut [W],
    start: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
) {
    // SAFETY: the instructions are there.
    unsafe { add_part_by::<W, Avx2>(weights, start, streams, pass) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn add_part_avx512<W: Weight>(
    weights: &mut [W],
    start: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
) {
    // SAFETY: the instructions are there.
    unsafe { add_part_by::<W, Avx512>(weights, start, streams, pass) }
}

/// [`add_part`], tile by tile.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn add_part_by<W: Weight, V: Vector>(
    weights: &mut [W],
    start: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
) {
    let first = start.div_ceil(TILE);
    let before = weights.len().min(first * TILE - start);
    let (before, weights) = weights.split_at_mut(before);
    let whole = weights.len() / TILE;
    let (tiles, rest) = weights.split_at_mut(whole * TILE);
    let tiles = tiles.as_chunks_mut().0.as_chunks_mut().0;
    for (n, tile) in (first..).zip(tiles) {
        ask_for((tile as *const Tile<W>).wrapping_add(AHEAD));
        // SAFETY: the instructions are there.
        unsafe { tile::add::<W, V>(in_place(tile), n, streams, pass) };
    }
    // parts of a tile
    for (part, start) in [(before, start), (rest, (first + whole) * TILE)] {
        let Some(any) = part.first() else {
            continue;
        };
        let mut tile = [[*any; 16]; 4];
        let place = start % TILE..start % TILE + part.len();
        tile.as_flattened_mut()[place.clone()].copy_from_slice(part);
        // SAFETY: the instructions are there.
        unsafe { tile::add::<W, V>(in_place(&mut tile), start / TILE, streams, pass) };
        part.copy_from_slice(&tile.as_flattened()[place]);
    }
}

/// A tile that is moved where it is.
#[inline(always)]
fn in_place<W>(tile: &mut Tile<W>) -> Moving<'_, W> {
    Moving {
        tile,
        opposite: None,
    }
}

/// Asks for a tile that is needed later.
#[inline(always)]
fn ask_for<W>(tile: *const Tile<W>) {
    for line in 0..size_of::<Tile<W>>() / CACHE_LINE {
        prefetch(tile.wrapping_byte_add(CACHE_LINE * line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Grid, NoiseKind, TensorId, noise};
    use half::{bf16, f16};
    use proptest::prelude::*;
    use zograd_direction::Seed;

    /// The definition of a pass, element by element.
    fn by_definition<W: Weight>(weights: &[W], pass: &NoisePass<'_>) -> Vec<W> {
        let mut sums = vec![pass.base(); weights.len()];
        let mut z = vec![0f32; weights.len()];
        for &(seed, c) in pass.terms {
            noise::fill(seed, pass.tensor, pass.kind, 0, &mut z);
            for (sum, z) in sums.iter_mut().zip(&z) {
                *sum = NoisePass::coefficient(c).mul_add(*z, *sum);
            }
        }
        let moved = weights.iter().zip(&sums);
        moved
            .map(|(w, sum)| w.moved(Shift::of(pass), *sum))
            .collect()
    }

    const GROUP: usize = NoiseKind::Rademacher.elements_of_group();

    fn weights(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 37 % 1009) as f32 - 500.0) / 333.0)
            .collect()
    }

    fn pass(kind: NoiseKind, terms: &[(Seed, f32)], shrink: f32) -> NoisePass<'_> {
        NoisePass {
            shrink,
            ..NoisePass::new(TensorId::of("decoder.layers.0.fc1.weight"), kind, terms)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Any number of threads, any chunking, any instruction set: the bits of the definition.
        #[test]
        fn bits_do_not_depend_on_threads_chunks_or_instructions(
            n in 1usize..40_000,
            // the smallest count as 0
            coefficients in prop::collection::vec(
                prop_oneof![4 => -2f32..2.0, 1 => -3e-29f32..3e-29],
                0..4,
            ),
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
                    for chunk in [GROUP, 3 * GROUP, CHUNK] {
                        for instructions in Instructions::available() {
                            let mut actual = weights(n);
                            pool.install(|| {
                                add_noise_in_chunks(&mut actual, &pass, chunk, instructions);
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
