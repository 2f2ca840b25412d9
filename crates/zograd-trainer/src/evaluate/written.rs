//! Answering in words.

use super::part::{LossPart, Part};
use super::{Answer, Prediction, Scoring};
use crate::{LanguageModel, Objective, TeacherForcing, TrainError, Writer, Written, measure};
use zograd_tasks::metrics::{Metric, exact_match, f1};
use zograd_tasks::rewards::Reward;
use zograd_tasks::{Prompt, Question};

/// What the model writes, against the gold answers; the loss is that of teacher forcing on the first of
/// them, or minus the rewards.
pub(super) fn evaluate<M: LanguageModel>(
    model: &M,
    prompts: &[&Prompt],
    scoring: &Scoring,
    writer: &Writer,
) -> Result<Part, TrainError> {
    let gold_loss = match scoring.reward() {
        Some(_) => None,
        None => Some(loss(model, prompts)?),
    };
    let written = writer.write(model, prompts)?;
    let rewards = match scoring.reward() {
        Some(reward) => Some(rewards(reward, prompts, &written)?),
        None => None,
    };
    let mut predictions = Vec::with_capacity(prompts.len());
    let mut non_finite = 0;
    for (place, (prompt, written)) in prompts.iter().zip(written).enumerate() {
        let gold = prompt.question.as_ref().map_or(&[][..], |q| &q.answers);
        let text = written.text.as_deref();
        non_finite += usize::from(text.is_none());
        let overlap = text.map_or(0.0, |text| f1(text, gold));
        let exact = text.is_some_and(|text| exact_match(text, gold));
        predictions.push(Prediction {
            index: prompt.row,
            score: match (&rewards, scoring.metric()) {
                (Some(rewards), _) => rewards[place],
                (None, Metric::F1) => overlap,
                (None, _) => f64::from(u8::from(exact)),
            },
            answer: Answer::Text {
                prediction: written.text,
                answers: gold.to_vec(),
                f1: overlap,
                exact_match: exact,
            },
        });
    }
    let minus_rewards = || LossPart {
        loss: -predictions.iter().map(|p| p.score).sum::<f64>(),
        weight: predictions.len() as f64,
    };
    let LossPart { loss, weight } = gold_loss.unwrap_or_else(minus_rewards);
    Ok(Part {
        predictions,
        loss,
        weight,
        non_finite,
    })
}

/// What every answer is worth; NaN where none could be written.
fn rewards(
    reward: &dyn Reward,
    prompts: &[&Prompt],
    written: &[Written],
) -> Result<Vec<f64>, TrainError> {
    let answers = || prompts.iter().zip(written).map(of_question);
    let asked: Vec<(&Question, &str)> = answers().flatten().collect();
    let mut found = reward.rewards(&asked)?.into_iter();
    let reward = |asked: Option<_>| asked.and_then(|_| found.next()).unwrap_or(f64::NAN);
    Ok(answers().map(reward).collect())
}

/// A question and its answer.
fn of_question<'a>(
    (prompt, written): (&'a &Prompt, &'a Written),
) -> Option<(&'a Question, &'a str)> {
    Some((prompt.question.as_ref()?, written.text.as_deref()?))
}

/// The negative log-likelihood of the first gold answers, summed over their tokens.
pub(super) fn loss<M: LanguageModel>(
    model: &M,
    prompts: &[&Prompt],
) -> Result<LossPart, TrainError> {
    let scored = measure(model, prompts, &TeacherForcing, None)?.examples;
    let weight = TeacherForcing.terms(&scored) as f64;
    Ok(LossPart {
        loss: TeacherForcing.loss(&scored) * weight,
        weight,
    })
}
