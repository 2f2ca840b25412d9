//! Arithmetic of candidates' scores.

use zograd_tasks::Prompt;

/// Index of the largest score, the first among equals; NaN never wins.
pub(crate) fn best(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, s) in scores.iter().enumerate() {
        if *s > scores[best] || scores[best].is_nan() {
            best = i;
        }
    }
    best
}

/// Whether a choice is among the right ones; never if a score is not finite.
pub(crate) fn is_right(prompt: &Prompt, chosen: usize, scores: &[f64]) -> bool {
    prompt.correct.contains(&chosen) && scores.iter().all(|score| score.is_finite())
}

/// The mean log-probability.
pub(super) fn mean(tokens: &[f32]) -> f64 {
    tokens.iter().map(|t| f64::from(*t)).sum::<f64>() / tokens.len() as f64
}

/// `exp(x) / sum(exp(x))` without overflow.
pub(super) fn softmax(x: &[f64]) -> Vec<f64> {
    let total = log_sum_exp(x);
    x.iter().map(|v| (v - total).exp()).collect()
}

/// `ln(sum(exp(x)))` without overflow.
pub(crate) fn log_sum_exp(x: &[f64]) -> f64 {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !max.is_finite() {
        return f64::NAN;
    }
    max + x.iter().map(|v| (v - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_best_wins_and_nan_never() {
        assert_eq!(best(&[-1.0, -0.5, -0.5]), 1);
        assert_eq!(best(&[f64::NAN, -3.0, -2.0, f64::NAN]), 2);
        assert_eq!(best(&[-1.0, f64::NAN]), 0);
    }
}
