use crate::objective::{log_sum_exp, score};
use crate::{LanguageModel, TrainError};
use serde::{Deserialize, Serialize};
use zograd_tasks::Prompt;

/// What a model answers to one prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Row number of the sample in its split.
    pub index: usize,
    /// Index of the right candidate, the first if there are several.
    pub label: usize,
    /// Index of the candidate with the highest score, the first among equals.
    pub prediction: usize,
    /// Mean log-probability of each candidate's tokens.
    pub scores: Vec<f64>,
    /// Whether the prediction is among the right ones. Never if a score is not finite.
    #[serde(skip)]
    pub right: bool,
}

/// How a model does on a list of prompts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Share of right predictions.
    pub accuracy: f64,
    /// Mean cross-entropy over the candidates.
    pub loss: f64,
    /// Number of prompts.
    pub examples: usize,
    /// How many of them have a score that is not finite; they count as wrong.
    pub non_finite: usize,
    /// Their predictions.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
}

/// Scores every candidate of every prompt, `batch_size` prompts a forward, and picks the best.
/// `progress` is told how many prompts are done.
///
/// # Errors
/// No prompts, or prompts the model cannot score.
pub fn evaluate<M: LanguageModel>(
    model: &M,
    prompts: &[Prompt],
    batch_size: usize,
    mut progress: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    if prompts.is_empty() {
        return Err(TrainError::NoExamples("evaluation"));
    }
    let mut predictions = Vec::with_capacity(prompts.len());
    let mut loss = 0.0;
    for chunk in prompts.chunks(batch_size.max(1)) {
        let chunk: Vec<&Prompt> = chunk.iter().collect();
        let (scored, _) = score(model, &chunk, |p| (0..p.candidates.len()).collect())?;
        for example in scored {
            let scores: Vec<f64> = example.means().collect();
            let label = example.prompt.correct.first().copied().unwrap_or(0);
            let prediction = best(&scores);
            loss += log_sum_exp(&scores) - scores.get(label).copied().unwrap_or(f64::NAN);
            predictions.push(Prediction {
                index: example.prompt.row,
                label,
                prediction,
                right: example.prompt.correct.contains(&prediction)
                    && scores.iter().all(|score| score.is_finite()),
                scores,
            });
        }
        progress(predictions.len());
    }
    let n = predictions.len() as f64;
    Ok(Evaluation {
        accuracy: predictions.iter().filter(|p| p.right).count() as f64 / n,
        loss: loss / n,
        examples: predictions.len(),
        non_finite: predictions
            .iter()
            .filter(|p| p.scores.iter().any(|score| !score.is_finite()))
            .count(),
        predictions,
    })
}

/// Index of the largest score, the first among equals; NaN never wins.
fn best(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, s) in scores.iter().enumerate() {
        if *s > scores[best] || scores[best].is_nan() {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn the_first_of_the_best_wins_and_nan_never() {
        assert_eq!(best(&[-1.0, -0.5, -0.5]), 1);
        assert_eq!(best(&[f64::NAN, -3.0, -2.0, f64::NAN]), 2);
        assert_eq!(best(&[-1.0, f64::NAN]), 0);
    }
}
