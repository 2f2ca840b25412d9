use super::scores::{best, is_right};
use super::{Objective, Scored};
use zograd_tasks::Prompt;

/// Minus the share of examples whose best candidate is right: a loss without a gradient.
///
/// It moves in steps of one example, so most small probes do not move it: a step that measures no
/// difference changes nothing and is counted as flat. A larger `eps` and larger batches make it seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accuracy;

impl Objective for Accuracy {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        (0..prompt.candidates.len()).collect()
    }

    fn compares_candidates(&self) -> bool {
        true
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        let mut right = 0u64;
        for example in batch {
            let scores: Vec<f64> = example.means().collect();
            if scores.iter().any(|score| !score.is_finite()) {
                return f64::NAN;
            }
            right += u64::from(is_right(example.prompt, best(&scores), &scores));
        }
        -(right as f64) / batch.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::tests::{prompt, scored};

    #[test]
    fn is_minus_the_share_of_right_ones() {
        let (a, b, mut c) = (prompt(2, 0), prompt(2, 0), prompt(3, 1));
        c.correct = vec![1, 2];
        let batch = [
            scored(&a, &[&[-1.0], &[-2.0]]),
            scored(&b, &[&[-2.0, -1.0], &[-1.4]]),
            // any of the right ones will do
            scored(&c, &[&[-3.0], &[-2.0], &[-1.0]]),
        ];
        assert_eq!(Accuracy.loss(&batch), -2.0 / 3.0);
    }
}
