use super::scores::{log_sum_exp, softmax};
use super::{Objective, Scored};
use zograd_tasks::Prompt;

/// Cross-entropy over the candidates of each example, whose score is the mean log-probability of their
/// option tokens; mean over examples. (MeZO's `forward_wrap_with_option_len` for classification and
/// multiple choice.) Of several right candidates the first counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Classification;

impl Objective for Classification {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        (0..prompt.candidates.len()).collect()
    }

    fn compares_candidates(&self) -> bool {
        true
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        let losses = batch.iter().map(|example| {
            let scores: Vec<f64> = example.means().collect();
            let right = example.prompt.correct.first().and_then(|c| scores.get(*c));
            log_sum_exp(&scores) - right.copied().unwrap_or(f64::NAN)
        });
        losses.sum::<f64>() / batch.len() as f64
    }

    fn slope(&self, batch: &[Scored<'_>]) -> Option<Vec<f64>> {
        let mut slope = Vec::new();
        for example in batch {
            let shares = softmax(&example.means().collect::<Vec<f64>>());
            for ((candidate, tokens), share) in example.candidates.iter().zip(shares) {
                let right = example.prompt.correct.first() == Some(candidate);
                let by_score = share - f64::from(u8::from(right));
                let each = by_score / (batch.len() * tokens.len()) as f64;
                slope.extend(std::iter::repeat_n(each, tokens.len()));
            }
        }
        Some(slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::tests::{prompt, scored};

    #[test]
    fn is_cross_entropy_of_mean_scores() {
        let (a, b) = (prompt(2, 1), prompt(2, 0));
        // means -1 and -2; a right answer of the worse candidate costs 1 more than of the better one
        let batch = [
            scored(&a, &[&[-0.5, -1.5], &[-2.0]]),
            scored(&b, &[&[-1.0], &[-2.0]]),
        ];
        let softplus = |x: f64| x.exp().ln_1p();
        let expected = (softplus(1.0) + softplus(-1.0)) / 2.0;
        assert!((Classification.loss(&batch) - expected).abs() < 1e-12);
    }
}
