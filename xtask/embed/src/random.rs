use zograd_direction::Seed;

/// A stream of random choices that is the same on every machine and under every dependency version:
/// the n-th number of the stream is `seed.child(n)`, a SplitMix64 hash.
///
/// The assets must come out alike years from now, so no generator of another crate is used.
#[derive(Clone, Debug)]
pub struct Random {
    seed: Seed,
    drawn: u64,
}

impl Random {
    /// The stream that belongs to `seed`.
    pub fn new(seed: Seed) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let bits = self.seed.child(self.drawn).value();
        self.drawn += 1;
        bits
    }

    /// A number in `0..bound`, 0 if `bound` is 0. The bias of the multiply-and-shift method is below
    /// `bound / 2^64`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, all equally likely. `items` is a table of the grammar and never empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Two different members of `items`, which holds at least two.
    pub fn pick_two<T: Copy>(&mut self, items: &[T]) -> (T, T) {
        let first = self.below(items.len());
        let step = 1 + self.below(items.len() - 1);
        (items[first], items[(first + step) % items.len()])
    }

    /// One of `items` with the probability that its weight has in the sum of the weights.
    pub fn weighted<T: Copy>(&mut self, items: &[(u32, T)]) -> T {
        let total: u32 = items.iter().map(|item| item.0).sum();
        let mut left = self.below(total as usize) as u32;
        for &(weight, item) in items {
            if left < weight {
                return item;
            }
            left -= weight;
        }
        // `left` is below the sum of the weights, so the loop has returned
        items[items.len() - 1].1
    }

    /// A standard normal number: the sum of twelve uniform ones less its mean (Irwin and Hall), which
    /// needs no function that the platform may round differently.
    pub fn normal(&mut self) -> f32 {
        let sum: u64 = (0..12).map(|_| self.bits() >> 32).sum();
        (sum as f64 / 4_294_967_296.0 - 6.0) as f32
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_stability() {
        let mut random = Random::new(Seed::new(42));
        assert_eq!(random.bits(), 0xe9ab_b3aa_8f4e_2dc5);
        assert_eq!(random.bits(), 0xcc1f_0ad7_039d_3ca8);
    }

    #[test]
    fn choices_follow_their_weights() {
        let mut random = Random::new(Seed::new(1));
        let n = 20_000;
        let hits = (0..n)
            .filter(|_| random.weighted(&[(3, true), (1, false)]))
            .count() as f64;
        // four standard deviations of a binomial count with p = 0.75
        let deviation = (f64::from(n) * 0.75 * 0.25).sqrt();
        assert!((hits - 0.75 * f64::from(n)).abs() < 4.0 * deviation);
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let mut random = Random::new(Seed::new(2));
        let draws: Vec<f64> = (0..20_000).map(|_| f64::from(random.normal())).collect();
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        // four standard errors: 1/sqrt(n) for the mean, at most sqrt(2/n) for the variance
        assert!(mean.abs() < 4.0 / n.sqrt());
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt());
    }

    #[test]
    fn a_pair_has_two_different_members_and_a_shuffle_keeps_all() {
        let mut random = Random::new(Seed::new(3));
        for _ in 0..1000 {
            let (a, b) = random.pick_two(&[1, 2, 3]);
            assert_ne!(a, b);
        }
        let mut items: Vec<usize> = (0..50).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
