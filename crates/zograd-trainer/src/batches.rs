use std::collections::BTreeMap;
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
    batch_size: usize,
    /// The examples among which an example of a batch is drawn, in turn: all of them, or those of each class.
    pools: Vec<Pool>,
}

/// Examples that are drawn without replacement: every epoch is its own permutation of them.
#[derive(Clone, Debug)]
struct Pool {
    seed: Seed,
    examples: Vec<usize>,
    /// The last epoch, and its order.
    kept: Option<(u64, Vec<usize>)>,
}

impl Batches {
    /// Batches of `batch_size` out of `examples` examples, both at least 1.
    pub fn new(seed: Seed, examples: usize, batch_size: usize) -> Self {
        let all = Pool::new(seed, (0..examples.max(1)).collect());
        Self {
            batch_size: batch_size.max(1),
            pools: vec![all],
        }
    }

    /// Batches in which the classes take turns, `class` being that of each example: in each batch each class has as many
    /// examples as any other, or one more. Where there are more classes than examples of a batch, the next batch goes on
    /// with the classes that had no turn. Within a class every epoch is a permutation of its own, so that the examples of
    /// rare classes come more often.
    ///
    /// ```
    /// use zograd_perturb::Seed;
    /// use zograd_trainer::Batches;
    ///
    /// let class = [0, 0, 0, 0, 0, 0, 1, 1];
    /// let mut batches = Batches::balanced(Seed::new(1), &class, 4);
    /// let of_one = batches.at(7).into_iter().filter(|example| class[*example] == 1);
    /// assert_eq!(of_one.count(), 2);
    /// ```
    pub fn balanced(seed: Seed, class: &[usize], batch_size: usize) -> Self {
        let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (example, class) in class.iter().enumerate() {
            classes.entry(*class).or_default().push(example);
        }
        let pools = classes.into_iter();
        let pools = pools.map(|(class, examples)| Pool::new(seed.child(class as u64), examples));
        Self {
            pools: match class {
                [] => vec![Pool::new(seed, vec![0])],
                _ => pools.collect(),
            },
            batch_size: batch_size.max(1),
        }
    }

    /// The examples of one step.
    pub fn at(&mut self, step: u64) -> Vec<usize> {
        let pools = self.pools.len() as u64;
        let first = step * self.batch_size as u64;
        (first..first + self.batch_size as u64)
            .map(|i| self.pools[(i % pools) as usize].draw(i / pools))
            .collect()
    }
}

impl Pool {
    /// `examples` is not empty.
    fn new(seed: Seed, examples: Vec<usize>) -> Self {
        Self {
            seed,
            examples,
            kept: None,
        }
    }

    /// The example that is drawn after `drawn` others.
    fn draw(&mut self, drawn: u64) -> usize {
        let n = self.examples.len() as u64;
        let place = self.order(drawn / n)[(drawn % n) as usize];
        self.examples[place]
    }

    /// The order of an epoch.
    fn order(&mut self, epoch: u64) -> &[usize] {
        let n = self.examples.len();
        let made = match self.kept.take() {
            Some((kept, order)) if kept == epoch => order,
            _ => sample_indices(self.seed.child(epoch), n, n),
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
        let made = batches.pools[0].order(0).as_ptr();
        assert!((1..10).all(|step| batches.at(step).len() == 10));
        assert_eq!(batches.pools[0].order(0).as_ptr(), made);
    }

    #[test]
    fn a_batch_larger_than_the_set_repeats_it() {
        let batch = Batches::new(Seed::new(3), 3, 8).at(0);
        assert_eq!(batch.len(), 8);
        assert!((0..3).all(|e| batch.iter().filter(|b| **b == e).count() >= 2));
    }

    /// However rare a class is, and however many there are: their numbers in a batch differ by one at most, and over time
    /// not at all; within a class no example comes again before all have come; and a step says it all.
    #[test]
    fn classes_take_turns() {
        // 7 of class 4, 2 of class 1, 3 of class 9
        let class = [4, 4, 1, 4, 9, 4, 4, 9, 1, 4, 9, 4];
        for size in [1, 2, 3, 4, 16] {
            let mut batches = Batches::balanced(Seed::new(3), &class, size);
            let steps = 42;
            let drawn: Vec<Vec<usize>> = (0..steps).map(|step| batches.at(step)).collect();
            let count = |batch: &[usize], of: usize| {
                batch
                    .iter()
                    .filter(|example| class[**example] == of)
                    .count()
            };
            for batch in &drawn {
                let counts = [4, 1, 9].map(|of| count(batch, of));
                let (least, most) = (counts.iter().min(), counts.iter().max());
                assert!(most <= least.map(|n| n + 1).as_ref(), "{counts:?}");
            }
            let all = drawn.concat();
            for of in [4, 1, 9] {
                assert_eq!(count(&all, of), all.len() / 3);
                let of_it = all.iter().copied().filter(|example| class[*example] == of);
                let of_it: Vec<usize> = of_it.collect();
                let n = class.iter().filter(|c| **c == of).count();
                for epoch in of_it.chunks_exact(n) {
                    let mut sorted = epoch.to_vec();
                    sorted.sort_unstable();
                    sorted.dedup();
                    assert_eq!(sorted.len(), n, "{epoch:?}");
                }
            }
            // a run that is resumed, or whose steps are made in any order
            let mut again = Batches::balanced(Seed::new(3), &class, size);
            assert!(
                (0..steps)
                    .rev()
                    .all(|step| again.at(step) == drawn[step as usize])
            );
            let other = Batches::balanced(Seed::new(4), &class, 16).at(0);
            assert_ne!(other, Batches::balanced(Seed::new(3), &class, 16).at(0));
        }
        assert_eq!(Batches::balanced(Seed::new(3), &[7, 7], 2).at(0).len(), 2);
    }
}
