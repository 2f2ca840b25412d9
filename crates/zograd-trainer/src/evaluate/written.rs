//! Answering in words.

use super::part::{LossPart, Part};
use super::{Answer, Prediction};
use crate::{LanguageModel, Objective, TeacherForcing, TrainError, Writer, measure};
use zograd_tasks::Prompt;
use zograd_tasks::metrics::{Metric, exact_match, f1};

/// What the model writes, against the gold answers; the loss is that of teacher forcing on the first of
/// them.
pub(super) fn evaluate<M: LanguageModel>(
    model: &M,
    prompts: &[&Prompt],
    metric: Metric,
    writer: &Writer,
) -> Result<Part, TrainError> {
    let LossPart { loss, weight } = loss(model, prompts)?;
    let mut part = Part {
        predictions: Vec::with_capacity(prompts.len()),
        loss,
        weight,
        non_finite: 0,
    };
    for (prompt, written) in prompts.iter().zip(writer.write(model, prompts)?) {
        let gold = prompt.question.as_ref().map_or(&[][..], |q| &q.answers);
        let text = written.text.as_deref();
        part.non_finite += usize::from(text.is_none());
        let overlap = text.map_or(0.0, |text| f1(text, gold));
        let exact = text.is_some_and(|text| exact_match(text, gold));
        part.predictions.push(Prediction {
            index: prompt.row,
            score: match metric {
                Metric::F1 => overlap,
                Metric::Accuracy | Metric::ExactMatch => f64::from(u8::from(exact)),
            },
            answer: Answer::Text {
                prediction: written.text,
                answers: gold.to_vec(),
                f1: overlap,
                exact_match: exact,
            },
        });
    }
    Ok(part)
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
