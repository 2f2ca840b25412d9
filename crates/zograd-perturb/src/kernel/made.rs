//! Passes with noise that is not dense: a block of it is made in L1, then added.

use super::{CHUNK, DenseNoise, Shift, Weight};
use crate::NoisePass;
use crate::values::Values;
use crate::vector::{Instructions, Loop, compiled};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Weights of a block: its noise and its sums are 32 KiB.
const BLOCK: usize = 4096;

/// Applies `pass` to the whole tensor.
pub(super) fn add<W: Weight>(weights: &mut [W], pass: &NoisePass<'_>) {
    let shift = Shift::of(pass);
    let parts = weights.par_chunks_mut(CHUNK).enumerate();
    parts.for_each(|(k, part)| {
        for (n, block) in part.chunks_mut(BLOCK).enumerate() {
            with_sums(
                pass,
                k * CHUNK + n * BLOCK,
                block.len(),
                |sums, instructions| {
                    let in_place = InPlace {
                        weights: block,
                        sums,
                        shift,
                    };
                    compiled(in_place, instructions);
                },
            );
        }
    });
}

/// Writes what `pass` makes of `weights`, the elements of a tensor from `start` on, into a room as long as they are, and
/// what the opposite terms make of them into another, if there is one. All of each is written.
pub(super) fn move_piece<W: Weight>(
    weights: &[W],
    start: usize,
    (moved, opposite): (&mut [MaybeUninit<W>], Option<&mut [MaybeUninit<W>]>),
    pass: &NoisePass<'_>,
) {
    let shift = Shift::of(pass);
    let mut opposite = opposite.map(|room| room.chunks_mut(BLOCK));
    let blocks = weights.chunks(BLOCK).zip(moved.chunks_mut(BLOCK));
    for (n, (block, moved)) in blocks.enumerate() {
        let opposite = opposite.as_mut().and_then(Iterator::next);
        with_sums(
            pass,
            start + n * BLOCK,
            block.len(),
            |sums, instructions| {
                let out_of_place = OutOfPlace {
                    weights: block,
                    sums,
                    moved,
                    opposite,
                    shift,
                };
                compiled(out_of_place, instructions);
            },
        );
    }
}

/// Gives `use_them` the sums of a block, which are as many as it has weights.
fn with_sums(
    pass: &NoisePass<'_>,
    start: usize,
    len: usize,
    use_them: impl FnOnce(&[f32], Instructions),
) {
    let instructions = Instructions::in_use();
    // a block may be a row of a table: not longer than it is
    let (mut sums, mut noise) = (vec![pass.base(); len], vec![0f32; len]);
    let (sums, noise) = (&mut sums[..], &mut noise[..]);
    let mut add = |c: f32, noise: &[f32]| {
        let multiple = Multiple {
            c: NoisePass::coefficient(c),
            noise,
            sums,
        };
        compiled(multiple, instructions);
    };
    for same in pass.terms.chunk_by(|a, b| a.0 == b.0) {
        DenseNoise::new(same[0].0, pass.tensor, pass.kind).fill(start, noise);
        for (_, c) in same {
            add(*c, noise);
        }
    }
    for same in pass.made.chunk_by(|a, b| Arc::ptr_eq(&a.0, &b.0)) {
        same[0].0.fill(start, noise);
        for (_, c) in same {
            add(*c, noise);
        }
    }
    use_them(sums, instructions);
}

/// `sums = fma(c, noise, sums)`
struct Multiple<'a> {
    c: f32,
    noise: &'a [f32],
    sums: &'a mut [f32],
}

impl Loop for Multiple<'_> {
    #[inline(always)]
    fn run(self) {
        for (sum, z) in self.sums.iter_mut().zip(self.noise) {
            *sum = self.c.mul_add(*z, *sum);
        }
    }
}

struct InPlace<'a, W> {
    weights: &'a mut [W],
    sums: &'a [f32],
    shift: Shift,
}

impl<W: Weight> Loop for InPlace<'_, W> {
    #[inline(always)]
    fn run(self) {
        for (weight, sum) in self.weights.iter_mut().zip(self.sums) {
            *weight = weight.moved(self.shift, *sum);
        }
    }
}

struct OutOfPlace<'a, W> {
    weights: &'a [W],
    sums: &'a [f32],
    moved: &'a mut [MaybeUninit<W>],
    opposite: Option<&'a mut [MaybeUninit<W>]>,
    shift: Shift,
}

impl<W: Weight> Loop for OutOfPlace<'_, W> {
    #[inline(always)]
    fn run(self) {
        let pairs = || self.weights.iter().zip(self.sums);
        for (place, (weight, sum)) in self.moved.iter_mut().zip(pairs()) {
            place.write(weight.moved(self.shift, *sum));
        }
        let opposite = self.opposite.into_iter().flatten();
        for (place, (weight, sum)) in opposite.zip(pairs()) {
            place.write(weight.moved(self.shift, self.shift.opposite(*sum)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{add_noise, moved};
    use super::*;
    use crate::values::Values;
    use crate::{Grid, NoiseKind, Seed, Sides, TensorId, noise};
    use half::{bf16, f16};
    use proptest::prelude::*;

    /// Any numbers that are no multiples of anything.
    #[derive(Debug)]
    struct Waves(f32);

    impl Values for Waves {
        fn fill(&self, start: usize, out: &mut [f32]) {
            for (i, value) in (start..).zip(out) {
                *value = libm::sinf(i as f32 * self.0) * 2.7;
            }
        }
    }

    fn weights(n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 37 % 1009) as f32 - 500.0) / 1024.0)
            .collect()
    }

    fn by_definition<W: Weight>(weights: &[W], pass: &NoisePass<'_>) -> Vec<W> {
        let mut sums = vec![pass.base(); weights.len()];
        let mut z = vec![0f32; weights.len()];
        let mut add = |c: f32, z: &[f32]| {
            for (sum, z) in sums.iter_mut().zip(z) {
                *sum = NoisePass::coefficient(c).mul_add(*z, *sum);
            }
        };
        for (seed, c) in pass.terms {
            noise::fill(*seed, pass.tensor, pass.kind, 0, &mut z);
            add(*c, &z);
        }
        for (values, c) in pass.made {
            values.fill(0, &mut z);
            add(*c, &z);
        }
        let moved = weights.iter().zip(&sums);
        moved
            .map(|(w, sum)| w.moved(Shift::of(pass), *sum))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// In place and out of place, on a grid or not, with any number of threads: the bits of the definition.
        #[test]
        fn bits_are_those_of_the_definition(
            n in 1usize..70_000,
            cut in 0.0f64..1.0,
            c in -0.02f32..0.02,
            shrink in prop_oneof![Just(0.0f32), 0.0f32..0.1],
            grid in prop_oneof![Just(None), Just(Some(Grid::holding(0.5, 0.01, 0.0)))],
        ) {
            let odd = |c: f32| f32::from_bits(c.to_bits() | 1);
            let waves: Arc<dyn Values> = Arc::new(Waves(0.37));
            let terms = [(Seed::new(1), odd(c))];
            let made = [
                (Arc::clone(&waves), odd(0.7 * c)),
                (waves, odd(-0.2 * c)),
                (Arc::new(Waves(0.11)) as Arc<dyn Values>, odd(c)),
            ];
            let negative = made.clone().map(|(values, c)| (values, -c));
            for kind in NoiseKind::ALL {
                let pass = NoisePass {
                    made: &made,
                    shrink,
                    grid,
                    ..NoisePass::new(TensorId::of("w"), kind, &terms)
                };
                let expected = by_definition(&weights(n), &pass);
                for threads in [1, 3] {
                    let pool = rayon::ThreadPoolBuilder::new()
                        .num_threads(threads)
                        .build()
                        .expect("a thread pool");
                    let mut found = weights(n);
                    pool.install(|| add_noise(&mut found, &pass));
                    prop_assert_eq!(&found, &expected);
                }
                let pass = NoisePass { shrink: 0.0, ..pass };
                let opposite_terms = [(Seed::new(1), -odd(c))];
                let opposite = NoisePass { terms: &opposite_terms, made: &negative, ..pass };
                let cut = (cut * n as f64) as usize;
                let ranges = [cut..n, 0..n];
                let found = moved(&weights(n), ranges, &pass, Sides::Both, Vec::new());
                for (found, pass) in found.iter().zip([pass, opposite]) {
                    let all = by_definition(&weights(n), &pass);
                    prop_assert_eq!(&found[..n - cut], &all[cut..]);
                    prop_assert_eq!(&found[n - cut..], &all[..]);
                }
            }
        }
    }

    #[test]
    fn every_type_of_weight_is_rounded_once() {
        fn check<W: Weight>(weights: Vec<W>) {
            let made = [(Arc::new(Waves(0.37)) as Arc<dyn Values>, 0.3)];
            let pass = NoisePass {
                made: &made,
                shrink: 0.01,
                ..NoisePass::new(TensorId::of("w"), NoiseKind::Gaussian, &[])
            };
            let expected = by_definition(&weights, &pass);
            let mut found = weights;
            add_noise(&mut found, &pass);
            assert_eq!(found, expected);
        }
        let exact = weights(5000);
        check(exact.iter().map(|w| f16::from_f32(*w)).collect());
        check(exact.iter().map(|w| bf16::from_f32(*w)).collect());
        check(exact.iter().map(|w| f64::from(*w)).collect());
    }

    /// On a grid any numbers are rounded term by term, in any order: `crate::grid` says why.
    #[test]
    fn terms_are_rounded_one_by_one() {
        let grid = Grid::holding(0.5, 1e-3, 0.0);
        let n = 10_000;
        let c = f32::from_bits(1e-3f32.to_bits() | 1);
        let there: [(Arc<dyn Values>, f32); 2] =
            [(Arc::new(Waves(0.37)), c), (Arc::new(Waves(0.11)), -c)];
        let [a, b] = there.clone();
        let spacing = grid.spacing() as f32;
        let start: Vec<f32> = weights(n)
            .iter()
            .map(|w| (w / spacing).round() * spacing)
            .collect();
        let mut found = start.clone();
        let mut walk = |made: &[(Arc<dyn Values>, f32)]| {
            let pass = NoisePass {
                made,
                grid: Some(grid),
                ..NoisePass::new(TensorId::of("w"), NoiseKind::Gaussian, &[])
            };
            add_noise(&mut found, &pass);
        };
        walk(&there);
        walk(&[(b.0, -b.1), (a.0, -a.1)]);
        assert_eq!(found, start);
    }
}
