//! The biases that a model's options are given once it is trained: fitted on training examples alone.

use super::{Answer, Scoring, evaluate_on};
use crate::objective::{Choice, fit_biases};
use crate::{LanguageModel, TrainError};
use std::ops::ControlFlow;
use zograd_perturb::Seed;
use zograd_ranks::Ranks;
use zograd_tasks::{Prompt, sample_indices};

/// How many training examples biases are fitted on.
const ROWS: usize = 128;

/// Child of the run's seed that draws them.
const DRAW: u64 = 4;

/// The training examples on which biases of options are fitted: 128 of them, or all if there are fewer, drawn by the seed
/// of the run.
pub fn bias_examples(train: &[Prompt], seed: u64) -> Vec<Prompt> {
    let drawn = sample_indices(Seed::new(seed).child(DRAW), train.len(), ROWS);
    drawn.into_iter().map(|at| train[at].clone()).collect()
}

/// The biases of the options with which `model` has the least cross-entropy on `examples`, by the formula of
/// [`Calibrated`](crate::Calibrated): one forward pass for every `batch_size` of them.
///
/// # Errors
/// As [`evaluate_on`].
pub fn option_biases<M: LanguageModel>(
    ranks: &Ranks,
    model: &M,
    examples: &[Prompt],
    batch_size: usize,
    progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<f64>, TrainError> {
    let scoring = Scoring::choice();
    let found = evaluate_on(ranks, model, examples, &scoring, batch_size, progress)?;
    let choices = found
        .predictions
        .into_iter()
        .filter_map(|prediction| match prediction.answer {
            Answer::Choice { label, scores, .. } => Some(Choice {
                scores,
                right: label,
            }),
            Answer::Text { .. } => None,
        });
    Ok(fit_biases(&choices.collect::<Vec<_>>()))
}
