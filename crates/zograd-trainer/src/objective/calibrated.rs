use super::biases::{Choice, choice, cross_entropy, fit, of_mean};
use super::{Classification, Objective, Scored};
use zograd_tasks::Prompt;

/// [`Classification`] whose scores have a bias for every option, fitted anew in every step: what the batch says of a
/// shift that all examples have in common is taken out of the losses, for it drowns the rest.
///
/// The biases are those that minimise the cross-entropy of the batch at the mean of the scores of a step's first probes,
/// with a penalty of `0.0005 |b|^2` that keeps them finite. All losses of the step are made with them. It costs no forward
/// pass.
///
/// Not in MeZO's code, nor in that of MeZO-GV.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calibrated;

impl Objective for Calibrated {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        Classification.candidates(prompt)
    }

    fn compares_candidates(&self) -> bool {
        true
    }

    /// With the biases that fit the batch best.
    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        let choices: Vec<Choice> = batch.iter().map(choice).collect();
        cross_entropy(&choices, &fit(&choices))
    }

    fn biases(&self, probes: &[&[Scored<'_>]]) -> Option<Vec<f64>> {
        of_mean(probes)
    }

    fn loss_with(&self, batch: &[Scored<'_>], biases: &[f64]) -> f64 {
        let choices: Vec<Choice> = batch.iter().map(choice).collect();
        cross_entropy(&choices, biases)
    }

    fn is_calibrated(&self) -> bool {
        true
    }

    fn curvature(&self, plus: &[Scored<'_>], minus: &[Scored<'_>]) -> f64 {
        Classification.curvature(plus, minus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::tests::{prompt, scored};

    /// The biases are those of the mean scores; a loss with them is the cross-entropy of the scores moved by them.
    #[test]
    fn all_probes_share_the_biases_of_their_mean() {
        let (a, b, c) = (prompt(2, 1), prompt(2, 0), prompt(2, 0));
        let batch = |by: f32| {
            [
                scored(&a, &[&[-0.5 + by], &[-2.0]]),
                scored(&b, &[&[-1.0], &[-2.0 + by]]),
                scored(&c, &[&[-1.0 - by], &[-1.0]]),
            ]
        };
        let (plus, minus, middle) = (batch(0.25), batch(-0.25), batch(0.0));
        let shared = Calibrated.biases(&[&plus, &minus]).expect("biases");
        assert_eq!(shared, Calibrated.biases(&[&middle]).expect("biases"));
        let moved = |batch: &[Scored<'_>]| {
            let losses = batch.iter().map(|example| {
                let scores: Vec<f64> = example.means().zip(&shared).map(|(s, b)| s + b).collect();
                let right = example.prompt.correct[0];
                (scores[1 - right] - scores[right]).exp().ln_1p()
            });
            losses.sum::<f64>() / 3.0
        };
        for batch in [&plus, &minus] {
            let loss = Calibrated.loss_with(batch, &shared);
            assert!((loss - moved(batch)).abs() < 1e-12);
            assert!(Calibrated.loss(batch) <= loss);
        }
        // a shift of all examples is no loss at all
        let shifted = [(&a, 1.5f32), (&b, 2.0), (&c, 1.0)]
            .map(|(prompt, second)| scored(prompt, &[&[-0.5], &[second]]));
        let farther = [(&a, 4.5f32), (&b, 5.0), (&c, 4.0)]
            .map(|(prompt, second)| scored(prompt, &[&[-0.5], &[second]]));
        let difference = Calibrated.loss(&shifted) - Calibrated.loss(&farther);
        // the penalty pulls the farther biases by another 0.0015 back, to second order of the loss
        assert!(difference.abs() < 1e-4, "{difference}");
        assert!((Classification.loss(&shifted) - Classification.loss(&farther)).abs() > 0.1);
    }

    #[test]
    fn scores_that_are_not_finite_give_a_loss_that_is_not() {
        let a = prompt(2, 0);
        let (good, bad) = (
            [scored(&a, &[&[-1.0], &[-2.0]])],
            [scored(&a, &[&[f32::NAN], &[-1.0]])],
        );
        let biases = Calibrated.biases(&[&good, &bad]).expect("biases");
        assert!(Calibrated.loss_with(&good, &biases).is_finite());
        assert!(!Calibrated.loss_with(&bad, &biases).is_finite());
        assert!(!Calibrated.loss(&bad).is_finite());
    }
}
