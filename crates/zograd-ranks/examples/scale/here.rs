//! A step on the ranks of one machine, of which there may be more than processors.

use crate::model::Step;
use zograd_ranks::share;

/// What an evaluation takes on a processor of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    /// How many there are.
    pub number: usize,
    /// Seconds of an evaluation, however few examples it has.
    pub fixed: f64,
    /// Seconds of each example besides.
    pub each: f64,
}

impl Processors {
    /// Seconds of a step: ranks are dealt out to the processors one by one, the forwards of ranks on one processor add up,
    /// and for each ask all wait for the processor that has most to do.
    pub fn seconds(&self, step: &Step, ranks: usize) -> f64 {
        let asks = step.asks.iter().map(|asked| {
            let mut busy = vec![0.0; self.number.max(1)];
            for rank in 0..ranks {
                let mine = share(rank, ranks, *asked, step.examples);
                let one = self.fixed + self.each * mine.examples.len() as f64;
                let processor = rank % busy.len();
                busy[processor] += one * mine.candidates.len() as f64;
            }
            busy.into_iter().fold(0.0, f64::max)
        });
        asks.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_of_ranks_on_one_processor_add_up() {
        let step = Step {
            parameters: 0.0,
            bytes: 0.0,
            asks: &[4, 2],
            examples: 16,
            tokens: 0.0,
        };
        let one = |examples: f64| 0.5 + 0.25 * examples;
        for (number, ranks, expected) in [
            (2, 1, 6.0 * one(16.0)),
            (2, 2, 3.0 * one(16.0)),
            // the third has two candidates of four and shares the processor of the first, and then half of a candidate
            (2, 3, 3.0 * one(16.0) + one(16.0) + one(8.0)),
            (2, 4, 2.0 * one(16.0) + 2.0 * one(8.0)),
            (4, 4, one(16.0) + one(8.0)),
            (1, 4, 4.0 * one(16.0) + 4.0 * one(8.0)),
        ] {
            let processors = Processors {
                number,
                fixed: 0.5,
                each: 0.25,
            };
            let found = processors.seconds(&step, ranks);
            assert!(
                (found - expected).abs() < 1e-12,
                "{number}, {ranks}: {found}"
            );
        }
    }
}
