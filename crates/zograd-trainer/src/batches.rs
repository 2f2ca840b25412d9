use zograd_perturb::Seed;
use zograd_tasks::sample_indices;

/// Which examples each step sees: every epoch is its own permutation, and a batch may straddle two.
///
/// The order is a pure function of the seed and the step, so a resumed run needs no state; that of the last epoch is
/// kept, since it takes time to make.
///
/// ```
/// use zograd_perturb::Seed;
/// use zograd_trainer::Batches;
///
/// let mut batches = Batches::new(Seed::new(1), 10, 4);
/// let mut epoch: Vec<usize> = (0..5).flat_map(|step| batches.at(step)).collect();
/// epoch[..10].sort();
/// assert_eq!(epoch[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    seed: Seed,
    examples: usize,
    batch_size: usize,
    /// The last epoch, and its order.
    kept: Option<(u64, Vec<usize>)>,
}

impl Batches {
    /// Batches of `batch_size` out of `examples` examples, both at least 1.
    pub fn new(seed: Seed, examples: usize, batch_size: usize) -> Self {
        Self {
            seed,
            examples: examples.max(1),
            batch_size: batch_size.max(1),
            kept: None,
        }
    }

    /// The examples of one step.
    pub fn at(&mut self, step: u64) -> Vec<usize> {
        let n = self.examples as u64;
        let first = step * self.batch_size as u64;
        (first..first + self.batch_size as u64)
            .map(|i| self.order(i / n)[(i % n) as usize])
            .collect()
    }

    /// The order of an epoch.
    fn order(&mut self, epoch: u64) -> &[usize] {
        let made = match self.kept.take() {
            Some((kept, order)) if kept == epoch => order,
            _ => sample_indices(self.seed.child(epoch), self.examples, self.examples),
        };
        &self.kept.insert((epoch, made)).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_sees_every_example_once_in_its_own_order() {
        let (n, size) = (12, 5);
        let mut batches = Batches::new(Seed::new(3), n, size);
        let stream: Vec<usize> = (0..12).flat_map(|s| batches.at(s)).collect();
        let epochs: Vec<&[usize]> = stream.chunks(n).collect();
        for epoch in &epochs {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        }
        assert_ne!(epochs[0], epochs[1]);
        // in any order of steps
        let back: Vec<usize> = (0..12).rev().flat_map(|s| batches.at(s)).collect();
        let ahead = stream.chunks(size).rev().flatten().copied();
        assert!(back.into_iter().eq(ahead));
    }

    #[test]
    fn an_epoch_is_put_in_order_once() {
        let mut batches = Batches::new(Seed::new(3), 100, 10);
        batches.at(0);
        let made = batches.order(0).as_ptr();
        assert!((1..10).all(|step| batches.at(step).len() == 10));
        assert_eq!(batches.order(0).as_ptr(), made);
    }

    #[test]
    fn a_batch_larger_than_the_set_repeats_it() {
        let batch = Batches::new(Seed::new(3), 3, 8).at(0);
        assert_eq!(batch.len(), 8);
        assert!((0..3).all(|e| batch.iter().filter(|b| **b == e).count() >= 2));
    }
}
