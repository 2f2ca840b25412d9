//! What a step minimises.

mod accuracy;
mod answer_f1;
mod biases;
mod by_reward;
mod calibrated;
mod classification;
mod scores;
mod teacher_forcing;

pub use accuracy::Accuracy;
pub use answer_f1::AnswerF1;
pub(crate) use biases::{Choice, fit as fit_biases};
pub use by_reward::ByReward;
pub use calibrated::Calibrated;
pub use classification::Classification;
use scores::mean;
pub(crate) use scores::{best, is_right, log_sum_exp};
pub use teacher_forcing::TeacherForcing;
use zograd_models::Sampling;
use zograd_tasks::Prompt;
use zograd_tasks::rewards::{Reward, RewardFailure};

/// The loss of a batch of prompts, from what it asks of the model: log-probabilities of candidates'
/// tokens, or answers in the model's own words.
///
/// Implement it to optimise something else; it need not be differentiable.
pub trait Objective: Send + Sync {
    /// Which candidates of this prompt have to be scored, as indices into `prompt.candidates`.
    fn candidates(&self, prompt: &Prompt) -> Vec<usize>;

    /// Whether the model has to write an answer to each prompt.
    fn needs_answers(&self) -> bool {
        false
    }

    /// How the answers of steps are drawn, if they are not decoded as those of evaluations. The seed says nothing: a draw
    /// is a function of the run's seed, the step, the row and the number of the token.
    fn sampling(&self) -> Option<&Sampling> {
        None
    }

    /// What the answers are worth, where the loss is made of that ([`Scored::reward`]).
    fn reward(&self) -> Option<&dyn Reward> {
        None
    }

    /// Whether the loss compares the candidates of a prompt with one another and does nothing else, so that it stays as
    /// it is when all scores of a prompt's candidates grow by one number. Then their normaliser need not be computed
    /// where they have it in common.
    fn compares_candidates(&self) -> bool {
        false
    }

    /// The loss of the batch; non-finite if the model's scores are.
    fn loss(&self, batch: &[Scored<'_>]) -> f64;

    /// Biases of the options that are fitted to what several probes say of one batch, if the losses of a step are made
    /// with such ([`Calibrated`]). They are asked for with the first probes of a step, and hold until its end, so that all
    /// losses of a step are of one kind, whatever its method asks for.
    fn biases(&self, probes: &[&[Scored<'_>]]) -> Option<Vec<f64>> {
        let _ = probes;
        None
    }

    /// The loss of the batch with these biases of the options.
    fn loss_with(&self, batch: &[Scored<'_>], biases: &[f64]) -> f64 {
        let _ = biases;
        self.loss(batch)
    }

    /// Whether there are such biases: then all scores of a step's first probes have to be there before there is a loss.
    fn is_calibrated(&self) -> bool {
        false
    }

    /// The derivative of [`Objective::loss`] by every log-probability of the batch, in the order of the examples,
    /// their candidates and the candidates' tokens; `None` if there is none. Only gradient methods ask.
    fn slope(&self, _batch: &[Scored<'_>]) -> Option<Vec<f64>> {
        None
    }

    /// How much the loss bends along a direction z, from the scores at both ends of a way along it: the sum over the
    /// [terms](Objective::terms) of these examples of the second derivative `z'Hz` that their losses have, times the square of
    /// the way's length.
    ///
    /// Here by Fisher's information, which is what a log-probability's losses say where the model's probabilities are about
    /// right: the squares of the differences of single examples, `n_i^2 (l_i(plus) - l_i(minus))^2` of an example whose loss
    /// is the mean over n_i terms, with the [biases](Objective::biases) of these examples, if there are such. It is never
    /// negative, and hardly rounded.
    fn curvature(&self, plus: &[Scored<'_>], minus: &[Scored<'_>]) -> f64 {
        let biases = self.biases(&[plus, minus]);
        let loss = |one: &[Scored<'_>]| match &biases {
            None => self.loss(one),
            Some(biases) => self.loss_with(one, biases),
        };
        let squares = plus.chunks(1).zip(minus.chunks(1)).map(|(plus, minus)| {
            let difference = loss(plus) - loss(minus);
            (self.terms(plus) as f64 * difference).powi(2)
        });
        squares.sum()
    }

    /// Of how many terms of equal weight the loss is the mean: by these, the gradients of the parts of a batch
    /// make up the gradient of the whole.
    fn terms(&self, batch: &[Scored<'_>]) -> usize {
        batch.len()
    }
}

/// A prompt with what the model says to it.
#[derive(Clone, Debug)]
pub struct Scored<'a> {
    /// The prompt.
    pub prompt: &'a Prompt,
    /// (Index of the candidate, natural log-probabilities of its option tokens). Of an objective that
    /// [compares candidates](Objective::compares_candidates) they may be such up to a number that all of them have in
    /// common.
    pub candidates: Vec<(usize, Vec<f32>)>,
    /// What the model wrote, if it was asked to; `None` also if it could not, because its logits are
    /// not finite.
    pub answer: Option<String>,
    /// What the answer is worth, if the objective has a [reward](Objective::reward) and there is an answer.
    pub reward: Option<Result<f64, RewardFailure>>,
}

impl Scored<'_> {
    /// Mean log-probability of each scored candidate's tokens.
    pub fn means(&self) -> impl Iterator<Item = f64> {
        self.candidates.iter().map(|(_, tokens)| mean(tokens))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use zograd_tasks::EncodedCandidate;

    pub(crate) fn prompt(candidates: usize, correct: usize) -> Prompt {
        let candidate = |k| EncodedCandidate {
            ids: vec![2, 5, k],
            option_len: 1,
            truncated: 0,
            gaps: vec![],
        };
        Prompt {
            row: 0,
            candidates: (0..candidates as u32).map(candidate).collect(),
            correct: vec![correct],
            ..Prompt::default()
        }
    }

    pub(crate) fn scored<'a>(prompt: &'a Prompt, scores: &[&[f32]]) -> Scored<'a> {
        Scored {
            prompt,
            candidates: scores.iter().map(|s| s.to_vec()).enumerate().collect(),
            answer: None,
            reward: None,
        }
    }

    #[test]
    fn non_finite_scores_give_a_non_finite_loss() {
        let a = prompt(2, 0);
        for bad in [f32::NAN, f32::NEG_INFINITY] {
            let batch = [scored(&a, &[&[bad], &[-1.0]])];
            assert!(!Classification.loss(&batch).is_finite());
            assert!(!Accuracy.loss(&batch).is_finite());
            assert!(!TeacherForcing.loss(&[scored(&a, &[&[bad]])]).is_finite());
        }
    }

    /// What is said of the objectives that compare candidates, and of no others.
    #[test]
    fn a_number_in_common_changes_no_comparison() {
        let (a, b) = (prompt(3, 1), prompt(2, 0));
        let loss = |objective: &dyn Objective, more: f32| {
            let scores = |scores: &[f32]| -> Vec<Vec<f32>> {
                scores.iter().map(|score| vec![score + more]).collect()
            };
            let scored = [
                (&a, scores(&[-1.0, -2.5, -1.5])),
                (&b, scores(&[-2.0, -0.5])),
            ];
            let batch = scored.map(|(prompt, scores)| Scored {
                prompt,
                candidates: scores.into_iter().enumerate().collect(),
                answer: None,
                reward: None,
            });
            objective.loss(&batch)
        };
        for objective in [
            &Classification as &dyn Objective,
            &Accuracy,
            &TeacherForcing,
        ] {
            // halves and quarters: nothing rounds but the arithmetic in f64
            let same = (loss(objective, 8.0) - loss(objective, 0.0)).abs() < 1e-12;
            assert_eq!(same, objective.compares_candidates());
        }
    }

    /// The slope by central differences. f32 scores moved by 1e-2: rounding of 1e-7 over 2e-2, and curvature.
    #[test]
    fn slopes_are_what_differences_find() {
        let (a, b) = (prompt(3, 1), prompt(2, 0));
        let scores: [&[&[f32]]; 2] = [
            &[&[-1.0, -2.5], &[-1.5], &[-0.25, -3.0, -2.0]],
            &[&[-2.0], &[-0.5, -1.0]],
        ];
        for objective in [&Classification as &dyn Objective, &TeacherForcing] {
            let batch = [scored(&a, scores[0]), scored(&b, scores[1])];
            let slope = objective.slope(&batch).expect("differentiable");
            let mut found = Vec::new();
            for example in 0..2 {
                for candidate in 0..batch[example].candidates.len() {
                    for token in 0..batch[example].candidates[candidate].1.len() {
                        let moved = |by: f32| {
                            let mut batch = batch.clone();
                            batch[example].candidates[candidate].1[token] += by;
                            objective.loss(&batch)
                        };
                        found.push((moved(1e-2) - moved(-1e-2)) / 2e-2);
                    }
                }
            }
            assert_eq!(slope.len(), found.len());
            for (a, b) in slope.iter().zip(&found) {
                assert!((a - b).abs() < 1e-4, "{slope:?} against {found:?}");
            }
            // parts, weighed by their terms, make up the whole
            let (all, one, two) = (
                objective.terms(&batch),
                objective.terms(&batch[..1]),
                objective.terms(&batch[1..]),
            );
            assert_eq!(all, one + two);
            let parts =
                one as f64 * objective.loss(&batch[..1]) + two as f64 * objective.loss(&batch[1..]);
            assert!((objective.loss(&batch) - parts / all as f64).abs() < 1e-12);
        }
        assert_eq!(Accuracy.slope(&[]), None);
    }
}
