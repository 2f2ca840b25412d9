use super::biases::of_mean;
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

    /// By the model's probabilities p of the options, whatever is right: the variance under p of the scores' differences, with
    /// p at the middle of the way and behind the biases of the options that fit these examples best. A model that begins far
    /// from guessing has most of its loss, and of the squares of its losses' differences, in a shift that all examples have in
    /// common, and is rid of it after a few steps.
    fn curvature(&self, plus: &[Scored<'_>], minus: &[Scored<'_>]) -> f64 {
        let biases = of_mean(&[plus, minus]).unwrap_or_default();
        let variance = |(plus, minus): (&Scored<'_>, &Scored<'_>)| {
            let ends: Vec<(f64, f64)> = plus.means().zip(minus.means()).collect();
            let middle = ends
                .iter()
                .zip(&biases)
                .map(|((a, b), bias)| (a + b) / 2.0 + bias);
            let shares = softmax(&middle.collect::<Vec<f64>>());
            let moved = || shares.iter().zip(ends.iter().map(|(a, b)| a - b));
            let mean: f64 = moved().map(|(share, by)| share * by).sum();
            moved()
                .map(|(share, by)| share * (by - mean).powi(2))
                .sum::<f64>()
        };
        plus.iter().zip(minus).map(variance).sum()
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

    /// By hand: two options at even odds, `p (1 - p) (d margin)^2`; and the same where all examples begin far from guessing,
    /// to what the penalty of the biases leaves of the shift.
    #[test]
    fn a_shift_of_all_examples_adds_no_curvature() {
        let (a, b) = (prompt(2, 1), prompt(2, 0));
        let ends = |shift: f32, by: f32| {
            [
                scored(&a, &[&[shift + by], &[-by]]),
                scored(&b, &[&[shift + by], &[-by]]),
            ]
        };
        let curvature = |shift| Classification.curvature(&ends(shift, 0.01), &ends(shift, -0.01));
        // two examples, scores in f32
        assert!((curvature(0.0) / (2.0 * 0.25 * 0.04f64.powi(2)) - 1.0).abs() < 1e-5);
        assert!((curvature(3.0) / curvature(0.0) - 1.0).abs() < 1e-4);
        // which the squares of the losses' differences do not see
        let squares = |shift| {
            let (plus, minus) = (ends(shift, 0.01), ends(shift, -0.01));
            let each = plus.chunks(1).zip(minus.chunks(1));
            each.map(|(p, m)| (Classification.loss(p) - Classification.loss(m)).powi(2))
                .sum::<f64>()
        };
        assert!(squares(3.0) > 1.5 * squares(0.0));
    }
}
