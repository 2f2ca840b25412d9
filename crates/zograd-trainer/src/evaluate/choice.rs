//! Choosing among candidates.

use super::part::Part;
use super::{Answer, Prediction};
use crate::measure::measure_normalised;
use crate::objective::{best, is_right, log_sum_exp};
use crate::{Classification, LanguageModel, Scored, TrainError};
use zograd_tasks::{EncodedCandidate, Prompt};

/// The candidate with the highest mean log-probability; of calibrated prompts, the one that gains most
/// by its input: `log p(candidate | input) - log p(candidate | no input)`, sums over its tokens
/// (Holtzman et al. 2021, as MeZO's `one_step_pred` computes it). `biases` are added to the scores, by the places of the
/// candidates.
pub(super) fn evaluate<M: LanguageModel>(
    model: &M,
    prompts: &[&Prompt],
    biases: &[f64],
) -> Result<Part, TrainError> {
    // classification asks for all candidates
    let scored = measure_normalised(model, prompts, &Classification)?.examples;
    let calibration: Vec<Prompt> = prompts.iter().filter_map(|p| without_input(p)).collect();
    let calibration: Vec<&Prompt> = calibration.iter().collect();
    let without = match calibration[..] {
        [] => vec![],
        _ => measure_normalised(model, &calibration, &Classification)?.examples,
    };
    let mut without = without.iter();
    let mut part = Part {
        predictions: Vec::with_capacity(prompts.len()),
        loss: 0.0,
        weight: prompts.len() as f64,
        non_finite: 0,
    };
    for example in &scored {
        let prompt = example.prompt;
        let mut scores: Vec<f64> = match prompt.calibration[..] {
            [] => example.means().collect(),
            _ => {
                let base = without.next().into_iter().flat_map(sums);
                sums(example)
                    .zip(base)
                    .map(|(with, without)| with - without)
                    .collect()
            }
        };
        scores
            .iter_mut()
            .zip(biases)
            .for_each(|(score, bias)| *score += bias);
        let label = prompt.correct.first().copied().unwrap_or(0);
        let prediction = best(&scores);
        part.loss += log_sum_exp(&scores) - scores.get(label).copied().unwrap_or(f64::NAN);
        part.non_finite += usize::from(scores.iter().any(|score| !score.is_finite()));
        part.predictions.push(Prediction {
            index: prompt.row,
            score: f64::from(u8::from(is_right(prompt, prediction, &scores))),
            answer: Answer::Choice {
                label,
                correct: match prompt.correct.len() {
                    0 | 1 => vec![],
                    _ => prompt.correct.clone(),
                },
                prediction,
                scores,
            },
        });
    }
    Ok(part)
}

/// Sum of the log-probabilities of each candidate's tokens.
fn sums<'s>(scored: &'s Scored<'_>) -> impl Iterator<Item = f64> + 's {
    let candidates = scored.candidates.iter();
    candidates.map(|(_, tokens)| tokens.iter().map(|t| f64::from(*t)).sum())
}

/// The calibration candidates as a prompt of their own, if there are any.
fn without_input(prompt: &Prompt) -> Option<Prompt> {
    let candidates: &[EncodedCandidate] = &prompt.calibration;
    (!candidates.is_empty()).then(|| Prompt {
        row: prompt.row,
        candidates: candidates.to_vec(),
        ..Prompt::default()
    })
}
