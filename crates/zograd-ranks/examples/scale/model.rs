//! A step on many ranks, on paper: who waits for whom.

use zograd_ranks::share;

/// What a rank is.
#[derive(Clone, Copy, Debug)]
pub struct Rank {
    /// Floating-point operations a second in a forward pass.
    pub rate: f64,
    /// Bytes of weights that a pass reads a second.
    pub bandwidth: f64,
    /// How much longer than its best an evaluation takes, as the mean of an exponential distribution.
    pub spread: f64,
}

/// What carries the losses.
#[derive(Clone, Copy, Debug)]
pub struct Net {
    /// Seconds of an allgather for each doubling of the ranks.
    pub latency: f64,
    /// Bytes a second into a rank.
    pub bandwidth: f64,
}

/// What a step is made of.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Weights.
    pub parameters: f64,
    /// Bytes of one.
    pub bytes: f64,
    /// How many losses are asked for at a time: a pool of 4 and then two of GV are 4, 2.
    pub asks: &'static [usize],
    /// Examples of a batch.
    pub examples: usize,
    /// Tokens of an example that go through the layers.
    pub tokens: f64,
}

impl Step {
    /// Seconds of the evaluation of so many examples at one candidate, on a rank at its best: each weight is read, and
    /// each token multiplied by it.
    fn evaluation(&self, rank: &Rank, examples: usize) -> f64 {
        if examples == 0 {
            return 0.0;
        }
        let products = 2.0 * self.parameters * self.tokens * examples as f64 / rank.rate;
        products + self.pass(rank)
    }

    /// Seconds of a pass over the weights.
    fn pass(&self, rank: &Rank) -> f64 {
        self.parameters * self.bytes / rank.bandwidth
    }

    /// Seconds of a step on so many ranks, the mean of `draws` with other stragglers.
    pub fn seconds(&self, rank: &Rank, net: &Net, ranks: usize, draws: u64) -> f64 {
        let mut random = Random(0);
        let mut sum = 0.0;
        for _ in 0..draws {
            for asked in self.asks {
                let slowest = (0..ranks).map(|number| {
                    let mine = share(number, ranks, *asked, self.examples);
                    let each = self.evaluation(rank, mine.examples.len());
                    let best = each * mine.candidates.len() as f64;
                    best * (1.0 + rank.spread * random.exponential())
                });
                sum += slowest.fold(0.0, f64::max);
            }
        }
        let exchange: f64 = self
            .asks
            .iter()
            .map(|asked| self.exchange(net, ranks, *asked))
            .sum();
        sum / draws as f64 + exchange + self.pass(rank)
    }

    fn exchange(&self, net: &Net, ranks: usize, asked: usize) -> f64 {
        let rounds = (ranks as f64).log2().ceil();
        net.latency * rounds + self.bytes_of(ranks, asked) / net.bandwidth
    }

    /// Bytes that each rank receives for a step.
    pub fn received(&self, ranks: usize) -> f64 {
        self.asks
            .iter()
            .map(|asked| self.bytes_of(ranks, *asked))
            .sum()
    }

    /// The same for one exchange, as `OnRanks` and the exchange over MPI have it: a length and 512 bytes of each rank, and
    /// what has no room there. What was found are losses, or the scores of two options of a token.
    fn bytes_of(&self, ranks: usize, asked: usize) -> f64 {
        let found = match asked < ranks {
            false => 24 * asked.div_ceil(ranks),
            true => 8 + self.examples.div_ceil((ranks / asked).max(1)) * (16 + 2 * (16 + 4)),
        };
        if ranks == 1 {
            return 0.0;
        }
        let beyond = (1 + 8 + found).saturating_sub(512);
        (ranks * (8 + 512 + beyond)) as f64
    }
}

/// Numbers that are the same every time.
struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// With mean 1.
    fn exponential(&mut self) -> f64 {
        let uniform = ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -uniform.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANK: Rank = Rank {
        rate: 1e12,
        bandwidth: 1e12,
        spread: 0.0,
    };
    const NET: Net = Net {
        latency: 0.0,
        bandwidth: f64::INFINITY,
    };
    const STEP: Step = Step {
        parameters: 1e9,
        bytes: 2.0,
        asks: &[4, 2],
        examples: 16,
        tokens: 10.0,
    };

    /// Without stragglers and exchanges: a rank a candidate, and then a rank a part of one.
    #[test]
    fn steps_are_the_work_of_the_one_who_has_most() {
        let pass = 2e-3;
        let evaluation = |examples: f64| pass + 0.02 * examples;
        for (ranks, expected) in [
            (1, 6.0 * evaluation(16.0)),
            (2, 3.0 * evaluation(16.0)),
            (4, evaluation(16.0) + evaluation(8.0)),
            (64, evaluation(1.0) + evaluation(1.0)),
            (1024, evaluation(1.0) + evaluation(1.0)),
        ] {
            let seconds = STEP.seconds(&RANK, &NET, ranks, 1);
            assert!(
                (seconds - expected - pass).abs() < 1e-12,
                "{ranks}: {seconds}"
            );
        }
    }

    /// The mean of the largest of n exponentials is the n-th harmonic number.
    #[test]
    fn stragglers_cost_what_the_largest_of_them_does() {
        let rank = Rank {
            spread: 0.1,
            ..RANK
        };
        let step = Step { asks: &[8], ..STEP };
        let best = step.seconds(&RANK, &NET, 8, 1) - step.pass(&RANK);
        let found = step.seconds(&rank, &NET, 8, 4000) - step.pass(&RANK);
        let harmonic: f64 = (1..=8).map(|k| 1.0 / f64::from(k)).sum();
        let expected = best * (1.0 + 0.1 * harmonic);
        // three standard errors: the deviation of the largest is 0.13 of the best
        assert!((found / expected - 1.0).abs() < 3.0 * 0.13 / 4000f64.sqrt());
    }
}
