//! The next token from finite logits.

use zograd_direction::Seed;

use super::Sampling;

/// The largest logit's token, the first of equal ones (as `torch.argmax`).
pub(super) fn largest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

/// A number in [0, 1) with 53 random bits.
pub(super) fn unit(seed: Seed) -> f64 {
    (seed.value() >> 11) as f64 / (1u64 << 53) as f64
}

/// The token at which the cumulated probabilities pass `random`, in [0, 1).
pub(super) fn sample(logits: &[f32], sampling: &Sampling, random: f64) -> u32 {
    let mut tokens: Vec<(usize, f64)> = logits
        .iter()
        .map(|logit| f64::from(*logit) / sampling.temperature)
        .enumerate()
        .collect();
    let largest = tokens.iter().map(|t| t.1).fold(f64::NEG_INFINITY, f64::max);
    tokens.iter_mut().for_each(|t| t.1 = (t.1 - largest).exp());
    let top_k = sampling.top_k.unwrap_or(tokens.len()).min(tokens.len());
    if top_k < tokens.len() || sampling.top_p.is_some() {
        tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }
    tokens.truncate(top_k);
    if let Some(top_p) = sampling.top_p {
        let enough = top_p * sum(&tokens);
        let mut reached = 0.0;
        let within = tokens.iter().take_while(|token| {
            let before = reached;
            reached += token.1;
            before < enough
        });
        let within = within.count();
        tokens.truncate(within.max(1));
    }
    let target = random * sum(&tokens);
    let mut reached = 0.0;
    for (id, weight) in &tokens {
        reached += weight;
        if reached > target {
            return *id as u32;
        }
    }
    // rounding can leave the last sum at the target
    tokens.last().map_or(0, |token| token.0 as u32)
}

fn sum(tokens: &[(usize, f64)]) -> f64 {
    tokens.iter().map(|token| token.1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 4] = [0.0, 2.0, 1.0, 2.0];

    fn plain() -> Sampling {
        Sampling::new(Seed::new(0))
    }

    /// How often each token comes, over a grid of random numbers.
    fn shares(sampling: &Sampling) -> [f64; 4] {
        let mut shares = [0.0; 4];
        for k in 0..10_000 {
            let chosen = sample(&LOGITS, sampling, (f64::from(k) + 0.5) / 10_000.0);
            shares[chosen as usize] += 1e-4;
        }
        shares
    }

    fn softmax(temperature: f64, kept: [bool; 4]) -> [f64; 4] {
        let weight =
            |k: usize| f64::from(u8::from(kept[k])) * (f64::from(LOGITS[k]) / temperature).exp();
        let weights = std::array::from_fn(weight);
        weights.map(|w| w / weights.iter().sum::<f64>())
    }

    fn close(found: [f64; 4], expected: [f64; 4]) {
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 2e-4, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn the_first_of_the_largest_wins() {
        assert_eq!(largest(&LOGITS), 1);
    }

    #[test]
    fn shares_are_the_probabilities() {
        close(shares(&plain()), softmax(1.0, [true; 4]));
        let hot = Sampling {
            temperature: 3.0,
            ..plain()
        };
        close(shares(&hot), softmax(3.0, [true; 4]));
    }

    #[test]
    fn only_the_most_probable_are_kept() {
        let top = |top_k, top_p| Sampling {
            top_k,
            top_p,
            ..plain()
        };
        // of the two equal ones the first
        close(shares(&top(Some(1), None)), [0.0, 1.0, 0.0, 0.0]);
        let three = softmax(1.0, [false, true, true, true]);
        close(shares(&top(Some(3), None)), three);
        // probabilities 0.40, 0.40, 0.15, 0.05
        close(shares(&top(None, Some(0.3))), [0.0, 1.0, 0.0, 0.0]);
        let two = softmax(1.0, [false, true, false, true]);
        close(shares(&top(None, Some(0.79))), two);
        close(shares(&top(None, Some(0.9))), three);
        close(shares(&top(None, Some(1.0))), softmax(1.0, [true; 4]));
        // top-p counts what top-k left: 0.5 and 0.5
        close(shares(&top(Some(2), Some(0.6))), two);
    }

    #[test]
    fn unit_numbers_are_below_one() {
        assert!((0..1000).all(|k| (0.0..1.0).contains(&unit(Seed::new(1).child(k)))));
    }
}
