//! How a model does on a list of prompts.

mod choice;
mod in_chunks;
mod option_biases;
mod part;
mod written;

use crate::{LanguageModel, TrainError, Writer};
use in_chunks::in_chunks;
pub use option_biases::{bias_examples, option_biases};
use part::{LossPart, Part};
use serde::Serialize;
use std::ops::ControlFlow;
use std::sync::Arc;
use zograd_ranks::Ranks;
use zograd_tasks::Prompt;
use zograd_tasks::metrics::Metric;
use zograd_tasks::rewards::Reward;

/// How predictions are made and scored.
#[derive(Clone, Debug)]
pub struct Scoring {
    metric: Metric,
    writer: Option<Writer>,
    reward: Option<Arc<dyn Reward>>,
    /// What is added to the scores of the candidates.
    biases: Vec<f64>,
}

impl Scoring {
    /// The model chooses among candidates; the score is the accuracy.
    pub fn choice() -> Self {
        Self {
            metric: Metric::Accuracy,
            writer: None,
            reward: None,
            biases: Vec::new(),
        }
    }

    /// The model writes its answers; the score is `metric`.
    pub fn written(metric: Metric, writer: Writer) -> Self {
        Self {
            metric,
            writer: Some(writer),
            reward: None,
            biases: Vec::new(),
        }
    }

    /// The model writes its answers; the score is their mean reward, and the loss minus that.
    pub fn rewarded(reward: Arc<dyn Reward>, writer: Writer) -> Self {
        Self {
            metric: Metric::Reward,
            writer: Some(writer),
            reward: Some(reward),
            biases: Vec::new(),
        }
    }

    /// What answers are worth, if that is the score.
    pub fn reward(&self) -> Option<&dyn Reward> {
        self.reward.as_deref()
    }

    /// The same with these numbers added to the scores of the candidates, by their places ([`option_biases`]); a candidate
    /// beyond the last has none added.
    #[must_use]
    pub fn with_biases(self, biases: Vec<f64>) -> Self {
        Self { biases, ..self }
    }

    /// What the score is.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How answers are written, where they are.
    pub fn writer(&self) -> Option<&Writer> {
        self.writer.as_ref()
    }
}

/// What a model answers to one prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Row number of the sample in its split.
    pub index: usize,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// What it is worth by the metric: from 0 to 1, and 0 if a score or a logit is not finite; of rewards any number, and
    /// NaN if a logit is not finite.
    #[serde(skip)]
    pub score: f64,
}

/// A candidate or a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// A candidate.
    Choice {
        /// Index of the right candidate, the first if there are several.
        label: usize,
        /// All right candidates, if there are several.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        correct: Vec<usize>,
        /// Index of the candidate with the highest score, the first among equals.
        prediction: usize,
        /// Score of each candidate: the mean log-probability of its tokens; if calibrated, the sum of
        /// these less their sum without the input.
        scores: Vec<f64>,
    },
    /// A text.
    Text {
        /// What the model wrote; `None` if its logits were not finite.
        prediction: Option<String>,
        /// The right answers.
        answers: Vec<String>,
        /// Word overlap with the one it fits best.
        f1: f64,
        /// Whether it is one of them.
        exact_match: bool,
    },
}

/// How a model does on a list of prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What `score` is.
    pub metric: Metric,
    /// Mean over the prompts: from 0 to 1, or any number if it is a reward, NaN if one of the answers has none.
    pub score: f64,
    /// Share of written answers that are right to the word; `None` where nothing is written.
    pub exact_match: Option<f64>,
    /// Mean cross-entropy over the candidates; for written answers the mean negative
    /// log-likelihood of the gold answers' tokens, or minus the mean reward.
    pub loss: f64,
    /// Number of prompts.
    pub examples: usize,
    /// How many of them have a score or a logit that is not finite; they count as wrong.
    pub non_finite: usize,
    /// Their predictions.
    pub predictions: Vec<Prediction>,
}

/// Has the model answer every prompt, `batch_size` prompts a forward, and scores the answers.
/// `progress` is told how many prompts are done, and says whether to go on.
///
/// # Errors
/// No prompts, prompts the model cannot score or answer, or [`TrainError::Stopped`].
pub fn evaluate<M: LanguageModel>(
    model: &M,
    prompts: &[Prompt],
    scoring: &Scoring,
    batch_size: usize,
    progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Evaluation, TrainError> {
    evaluate_on(
        &Ranks::alone(),
        model,
        prompts,
        scoring,
        batch_size,
        progress,
    )
}

/// [`evaluate`] by several ranks that have the same model: each has every so-many-th batch answered, and all know the same
/// in the end, to the bit. `progress` has to say the same on all of them.
///
/// # Errors
/// As [`evaluate`]; [`TrainError::Ranks`] if one of them fails.
pub fn evaluate_on<M: LanguageModel>(
    ranks: &Ranks,
    model: &M,
    prompts: &[Prompt],
    scoring: &Scoring,
    batch_size: usize,
    progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Evaluation, TrainError> {
    if prompts.is_empty() {
        return Err(TrainError::NoExamples("evaluation"));
    }
    let mut predictions = Vec::with_capacity(prompts.len());
    let (mut loss, mut weight, mut non_finite) = (0.0, 0.0, 0);
    let look = |chunk: &[&Prompt]| match &scoring.writer {
        Some(writer) => written::evaluate(model, chunk, scoring, writer),
        None => choice::evaluate(model, chunk, &scoring.biases),
    };
    let take = |part: Part| {
        loss += part.loss;
        weight += part.weight;
        non_finite += part.non_finite;
        predictions.extend(part.predictions);
    };
    in_chunks(ranks, prompts, batch_size, look, take, progress)?;
    let n = predictions.len() as f64;
    let exact = predictions.iter().filter(|prediction| {
        matches!(
            prediction.answer,
            Answer::Text {
                exact_match: true,
                ..
            }
        )
    });
    Ok(Evaluation {
        metric: scoring.metric,
        score: predictions.iter().map(|p| p.score).sum::<f64>() / n,
        exact_match: scoring.writer.as_ref().map(|_| exact.count() as f64 / n),
        loss: loss / weight,
        examples: predictions.len(),
        non_finite,
        predictions,
    })
}

/// The loss that [`evaluate_on`] gives where answers are written, without writing any.
///
/// # Errors
/// As [`evaluate_on`].
pub(crate) fn evaluate_loss<M: LanguageModel>(
    ranks: &Ranks,
    model: &M,
    prompts: &[Prompt],
    batch_size: usize,
    progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<f64, TrainError> {
    if prompts.is_empty() {
        return Err(TrainError::NoExamples("evaluation"));
    }
    let (mut loss, mut weight) = (0.0, 0.0);
    let look = |chunk: &[&Prompt]| written::loss(model, chunk);
    let take = |part: LossPart| {
        loss += part.loss;
        weight += part.weight;
    };
    in_chunks(ranks, prompts, batch_size, look, take, progress)?;
    Ok(loss / weight)
}
