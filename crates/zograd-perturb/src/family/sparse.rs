use super::matrix::as_matrix;
use super::{Family, Part, Values};
use crate::each::{Look, each};
use crate::kernel::DenseNoise;
use crate::{NoiseKind, ParameterSpace, ParameterSpec, Seed};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// Bits of a word of a mask.
const WORD: usize = 64;

/// Which weights of a matrix move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MaskRule {
    /// Any, each by itself.
    #[default]
    Random,
    /// Those of the smallest magnitude at the start of the run, matrix by matrix.
    Small,
    /// Those of the largest.
    Large,
}

/// One bit for every weight of the matrices that move: whether it does. Vectors move as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    of: HashMap<String, Arc<Bits>>,
}

/// The bits of a parameter, in row-major order.
type Bits = Vec<u64>;

impl Mask {
    /// Of the weights of `module`, which the run starts from, a share of `density`; drawn from `seed`, if they are drawn.
    /// A weight that is not a number is among the largest.
    pub fn of<B: Backend, M: Module<B>>(
        module: &M,
        space: &ParameterSpace,
        rule: MaskRule,
        density: f64,
        seed: Seed,
    ) -> Self {
        let mut maker = Maker {
            space,
            rule,
            density,
            seed,
            of: HashMap::new(),
        };
        each(module, space, &mut maker);
        Self { of: maker.of }
    }

    /// `sha256:` and the SHA-256, in hexadecimal, of the masks in the order of the parameters' names: for each the name, a
    /// zero byte, and the bits as little-endian numbers of 64 bits, the last one filled up with zeros.
    pub fn hash(&self) -> String {
        let mut names: Vec<&String> = self.of.keys().collect();
        names.sort();
        let mut hash = Sha256::new();
        for name in names {
            hash.update(name.as_bytes());
            hash.update([0]);
            for word in self.of[name].iter() {
                hash.update(word.to_le_bytes());
            }
        }
        let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        format!("sha256:{hex}")
    }

    /// How many weights of the masked matrices move.
    pub fn count(&self) -> u64 {
        self.of.values().map(|bits| count(bits)).sum()
    }
}

fn count(bits: &Bits) -> u64 {
    bits.iter().map(|word| u64::from(word.count_ones())).sum()
}

struct Maker<'a> {
    space: &'a ParameterSpace,
    rule: MaskRule,
    density: f64,
    seed: Seed,
    of: HashMap<String, Arc<Bits>>,
}

impl<B: Backend> Look<B> for Maker<'_> {
    fn look<const D: usize>(&mut self, index: usize, param: &Param<Tensor<B, D>>) {
        let spec = &self.space.parameters()[index];
        if as_matrix(&spec.shape).is_none() {
            return;
        }
        let bits = match self.rule {
            MaskRule::Random => {
                let seed = self.seed.child(spec.id.value());
                drawn(seed, spec.len(), self.density)
            }
            MaskRule::Small | MaskRule::Large => {
                let data = param.val().into_data();
                let sizes: Vec<f32> = data.iter::<f32>().map(f32::abs).collect();
                let some = (self.density * sizes.len() as f64).round() as usize;
                smallest(&sizes, some, self.rule == MaskRule::Large)
            }
        };
        self.of.insert(spec.name.clone(), Arc::new(bits));
    }
}

/// So many bits, each of which is set with this probability.
fn drawn(seed: Seed, len: usize, density: f64) -> Bits {
    // of 53 bits, as many as an f64 has
    let below = (density * (1u64 << 53) as f64) as u64;
    let word = |n: usize| {
        let elements = n * WORD..len.min((n + 1) * WORD);
        let set = elements.filter(|i| seed.child(*i as u64).value() >> 11 < below);
        set.fold(0, |word, i| word | 1 << (i % WORD))
    };
    (0..len.div_ceil(WORD)).into_par_iter().map(word).collect()
}

/// The `some` smallest of `sizes`, or the largest; the first ones among equals.
fn smallest(sizes: &[f32], some: usize, largest: bool) -> Bits {
    let mut bits = vec![0; sizes.len().div_ceil(WORD)];
    let Some(last) = some.min(sizes.len()).checked_sub(1) else {
        return bits;
    };
    // magnitudes are in the order of their bits, with what is no number behind them
    let rank = |size: &f32| match largest {
        true => u32::MAX - size.to_bits(),
        false => size.to_bits(),
    };
    let mut ranks: Vec<u32> = sizes.iter().map(rank).collect();
    let (before, threshold, _) = ranks.select_nth_unstable(last);
    let threshold = *threshold;
    let mut equals = 1 + before.iter().filter(|rank| **rank == threshold).count();
    for (i, size) in sizes.iter().enumerate() {
        let rank = rank(size);
        let equal = rank == threshold && equals > 0;
        if equal {
            equals -= 1;
        }
        if rank < threshold || equal {
            bits[i / WORD] |= 1 << (i % WORD);
        }
    }
    bits
}

/// Dense noise on the weights of a mask, and nothing on the others. The mask is made once, before the first step: one that
/// followed the weights would be another in the probe than in the update.
///
/// Stored is the mask: one bit for every weight of a matrix.
///
/// From arXiv 2402.15751 (Sparse-MeZO) with [`MaskRule::Small`].
#[derive(Clone, Debug)]
pub struct Sparse {
    kind: NoiseKind,
    mask: Mask,
}

impl Sparse {
    /// Noise of this kind on the weights of `mask`.
    pub fn new(kind: NoiseKind, mask: Mask) -> Self {
        Self { kind, mask }
    }

    /// Which weights move.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }
}

impl Family for Sparse {
    fn part(&self, parameter: &ParameterSpec, _: u64, seed: Seed) -> Part {
        match self.mask.of.get(&parameter.name) {
            None => Part::Dense,
            Some(bits) => Part::made(Masked {
                noise: DenseNoise::new(seed, parameter.id, self.kind),
                bits: Arc::clone(bits),
            }),
        }
    }

    fn mean_square(&self, parameter: &ParameterSpec) -> f64 {
        match self.mask.of.get(&parameter.name) {
            None => 1.0,
            Some(bits) => count(bits) as f64 / parameter.len().max(1) as f64,
        }
    }
}

/// Dense noise where bits are set.
#[derive(Debug)]
struct Masked {
    noise: DenseNoise,
    bits: Arc<Bits>,
}

impl Values for Masked {
    fn fill(&self, start: usize, out: &mut [f32]) {
        self.noise.fill(start, out);
        for (i, value) in (start..).zip(out) {
            if self.bits[i / WORD] >> (i % WORD) & 1 == 0 {
                *value = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(bits: &Bits, len: usize) -> Vec<usize> {
        (0..len)
            .filter(|i| bits[i / WORD] >> (i % WORD) & 1 == 1)
            .collect()
    }

    proptest! {
        /// As sorting finds them, with many equals.
        #[test]
        fn the_smallest_are_found(
            sizes in prop::collection::vec(0u8..9, 0..200),
            some in 0usize..220,
            largest: bool,
        ) {
            let sizes: Vec<f32> = sizes.into_iter().map(f32::from).collect();
            let mut order: Vec<usize> = (0..sizes.len()).collect();
            order.sort_by(|a, b| match largest {
                true => sizes[*b].total_cmp(&sizes[*a]),
                false => sizes[*a].total_cmp(&sizes[*b]),
            });
            order.truncate(some);
            order.sort_unstable();
            prop_assert_eq!(set(&smallest(&sizes, some, largest), sizes.len()), order);
        }
    }

    /// Five standard deviations, and all or none at the ends.
    #[test]
    fn as_many_are_drawn_as_were_asked_for() {
        let n = 100_000;
        for density in [0.0, 0.01, 0.25, 0.9, 1.0] {
            let bits = drawn(Seed::new(3), n, density);
            let found = count(&bits) as f64;
            let expected = density * n as f64;
            let error = (n as f64 * density * (1.0 - density)).sqrt();
            assert!(
                (found - expected).abs() <= 5.0 * error,
                "{density}: {found}"
            );
            assert!(set(&bits, bits.len() * WORD).iter().all(|i| *i < n));
        }
    }
}
