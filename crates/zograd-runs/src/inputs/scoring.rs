//! How a task's answers are produced and scored.

use crate::error::{Blame, Result, refuse};
use std::sync::Arc;
use zograd_models::{Decoding, Generation, ModelConfig};
use zograd_tasks::rewards::Reward;
use zograd_tasks::{AnswerEnd, PromptEncoder, Task};
use zograd_trainer::{Scoring, Writer};

/// An encoder whose prompts leave room for an answer of `max_new_tokens`.
///
/// # Errors
/// A number of tokens for a task whose answers are chosen, or no token.
pub fn with_room(
    encoder: PromptEncoder,
    task: &dyn Task,
    max_new_tokens: Option<usize>,
) -> Result<PromptEncoder> {
    match max_new_tokens {
        Some(0) => refuse!("`max-new-tokens = 0`: use at least 1"),
        Some(n) if task.is_generation() => Ok(encoder.with_max_new_tokens(n)),
        Some(_) => refuse!(
            "`max-new-tokens`: the answers of task {} are chosen, not written",
            task.name()
        ),
        None => Ok(encoder),
    }
}

/// Choice among candidates, or written answers that end where those of the task end: at a line break or the end of the
/// text, as in MeZO's code, or at the end of the text alone. Their score is the task's, or what they are worth.
///
/// # Errors
/// Beams for a task whose answers are chosen, or a number of them out of range; answers that end with the text, and a
/// model that does not say how that is.
pub fn scoring(
    task: &dyn Task,
    encoder: &PromptEncoder,
    config: &ModelConfig,
    beams: Option<usize>,
    reward: Option<Arc<dyn Reward>>,
) -> Result<Scoring> {
    let Some(writer) = writer(task, encoder, config, beams)? else {
        return Ok(Scoring::choice());
    };
    Ok(match reward {
        Some(reward) => Scoring::rewarded(reward, writer),
        None => Scoring::written(task.metric(), writer),
    })
}

/// How answers are written, if they are.
fn writer(
    task: &dyn Task,
    encoder: &PromptEncoder,
    config: &ModelConfig,
    beams: Option<usize>,
) -> Result<Option<Writer>> {
    if !task.is_generation() {
        if beams.is_some() {
            refuse!(
                "`beams`: the answers of task {} are chosen, not written",
                task.name()
            );
        }
        return Ok(None);
    }
    let line_break = match task.answer_end() {
        AnswerEnd::Line => encoder.last_id("\n").or_input()?,
        AnswerEnd::Eos => None,
    };
    let generation = Generation {
        max_new_tokens: encoder.max_new_tokens(),
        stop: line_break
            .iter()
            .chain(&config.eos_token_ids)
            .copied()
            .chain(encoder.turn_end().filter(|_| task.is_chat()))
            .collect(),
        decoding: beams.map_or(Decoding::Greedy, Decoding::Beams),
    };
    generation.check().or_input()?;
    Ok(Some(Writer::new(encoder.clone(), generation)))
}
