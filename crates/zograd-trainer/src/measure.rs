//! How a model is asked what an objective wants to know.

use crate::{LanguageModel, Loss, Objective, Scored, TrainError, Writer, Written};
use std::ops::Range;
use zograd_models::{Plan, PlanError, Probe, Sequence, Sharing, Still};
use zograd_tasks::rewards::{self, Reward};
use zograd_tasks::{Prompt, Question};

/// A batch with what a model says to it.
#[derive(Clone, Debug)]
pub struct Measured<'p> {
    /// The prompts with their scores and answers.
    pub examples: Vec<Scored<'p>>,
    /// Tokens that went through the layers for it.
    pub tokens: usize,
}

impl Measured<'_> {
    /// The loss of the batch.
    pub fn loss(&self, objective: &dyn Objective) -> Loss {
        self.made(objective.loss(&self.examples), objective)
    }

    /// The loss of the batch with biases of the options ([`Objective::loss_with`]).
    pub fn loss_with(&self, objective: &dyn Objective, biases: &[f64]) -> Loss {
        self.made(objective.loss_with(&self.examples, biases), objective)
    }

    fn made(&self, mean: f64, objective: &dyn Objective) -> Loss {
        let mut failures = self.examples.iter().filter_map(|e| e.reward?.err());
        Loss {
            reward_failure: failures.next(),
            ..Loss::new(mean)
                .with_terms(objective.terms(&self.examples) as u64)
                .with_tokens(self.tokens as u64)
        }
    }
}

/// Everything that `objective` asks of a batch.
///
/// # Errors
/// A candidate that has nothing to score, tokens that the model refuses; an objective that needs answers without a
/// `writer`, or without questions.
pub fn measure<'p, M: LanguageModel>(
    model: &M,
    prompts: &[&'p Prompt],
    objective: &dyn Objective,
    writer: Option<&Writer>,
) -> Result<Measured<'p>, TrainError> {
    let questions = Questions::of_loss(prompts, objective)?;
    questions.asked(model, objective, writer)
}

/// [`measure`] with whole log-probabilities, for those who want more than the loss.
pub(crate) fn measure_normalised<'p, M: LanguageModel>(
    model: &M,
    prompts: &[&'p Prompt],
    objective: &dyn Objective,
) -> Result<Measured<'p>, TrainError> {
    Questions::new(prompts, objective)?.asked(model, objective, None)
}

/// [`measure`] by each of several models that differ as [`LanguageModel::at_once`] says.
///
/// # Errors
/// As [`measure`].
pub fn measure_each<'p, M: LanguageModel>(
    models: &[M],
    prompts: &[&'p Prompt],
    objective: &dyn Objective,
    writer: Option<&Writer>,
) -> Result<Vec<Measured<'p>>, TrainError> {
    Questions::of_loss(prompts, objective)?.asked_of_each(models, objective, writer)
}

/// [`measure`] at every point of the probes, in their order, while the weights of `model` stand still; for an objective
/// that needs no answers.
///
/// # Errors
/// As [`measure`]; [`TrainError::NoWriter`] if the objective needs answers.
pub fn measure_at_each<'p, M: LanguageModel, P: Probe<M::Backend>>(
    model: &M,
    probes: &[P],
    prompts: &[&'p Prompt],
    objective: &dyn Objective,
) -> Result<Vec<Measured<'p>>, TrainError> {
    let questions = Questions::of_loss(prompts, objective)?;
    questions.asked_at_each(model, probes, objective, &mut Still::new(), false)
}

/// What an objective has to know of a batch.
pub(crate) struct Questions<'a, 'p> {
    prompts: &'a [&'p Prompt],
    /// The candidates of each prompt.
    chosen: Vec<Vec<usize>>,
    plan: Option<Plan>,
}

impl<'a, 'p> Questions<'a, 'p> {
    pub(crate) fn new(
        prompts: &'a [&'p Prompt],
        objective: &dyn Objective,
    ) -> Result<Self, TrainError> {
        let chosen: Vec<Vec<usize>> = prompts.iter().map(|p| objective.candidates(p)).collect();
        let groups: Vec<Vec<Sequence<'_>>> = prompts
            .iter()
            .zip(&chosen)
            .map(|(prompt, chosen)| {
                let candidates = chosen.iter().filter_map(|c| prompt.candidates.get(*c));
                candidates
                    .map(|candidate| Sequence {
                        ids: &candidate.ids,
                        scored: candidate.option_len,
                    })
                    .collect()
            })
            .collect();
        let nothing = chosen.iter().all(Vec::is_empty) && !prompts.is_empty();
        let plan = (!nothing).then(|| Plan::new(&groups, Sharing::Prefix));
        let plan = plan.transpose().map_err(|source| {
            let group = match &source {
                PlanError::NothingScored { group, .. } | PlanError::NoContext { group, .. } => {
                    *group
                }
                _ => 0,
            };
            let row = prompts.get(group).map_or(0, |prompt| prompt.row);
            TrainError::Plan { row, source }
        })?;
        let scored = prompts.iter().zip(&chosen);
        let scored = scored
            .flat_map(|(prompt, chosen)| chosen.iter().filter_map(|c| prompt.candidates.get(*c)));
        let scored: Vec<_> = scored.collect();
        let plan = match scored.iter().any(|candidate| !candidate.gaps.is_empty()) {
            true => plan.map(|plan| plan.without(|sequence, place| scored[sequence].is_gap(place))),
            false => plan,
        };
        Ok(Self {
            prompts,
            chosen,
            plan,
        })
    }

    /// What it has to know to give its loss: no normalisers where these cancel.
    pub(crate) fn of_loss(
        prompts: &'a [&'p Prompt],
        objective: &dyn Objective,
    ) -> Result<Self, TrainError> {
        Ok(Self::new(prompts, objective)?.unnormalised(objective))
    }

    /// What it has to know of some of the prompts to give the loss of all of them, in the bits of [`Questions::of_loss`] of
    /// all: whether scores are normalised depends on all of them.
    pub(crate) fn of_loss_of_some(
        prompts: &'a [&'p Prompt],
        some: Range<usize>,
        objective: &dyn Objective,
    ) -> Result<Self, TrainError> {
        let all = Self::of_loss(prompts, objective)?;
        if some.len() == prompts.len() {
            return Ok(all);
        }
        let part = Self::new(&prompts[some], objective)?;
        Ok(match all.plan() {
            Some(plan) if !plan.is_normalised() => Self {
                plan: part.plan.map(Plan::unnormalised),
                ..part
            },
            _ => part,
        })
    }

    /// The same questions without the normalisers of the scores, where these cancel: in an objective that compares the
    /// candidates of a prompt alone, if all of them are single tokens after one and the same context.
    fn unnormalised(self, objective: &dyn Objective) -> Self {
        let cancel = |plan: &Plan| {
            let read: Vec<usize> = plan.scored().map(|(logit, _)| logit).collect();
            let mut start = 0;
            self.chosen.iter().all(|chosen| {
                let end = start + chosen.len();
                let spans = plan.spans().get(start..end).unwrap_or_default();
                start = end;
                let first = spans.first().map(|span| read[span.start]);
                let alike =
                    |span: &Range<usize>| span.len() == 1 && Some(read[span.start]) == first;
                first.is_some() && spans.iter().all(alike)
            })
        };
        match self.plan {
            Some(plan) if objective.compares_candidates() && cancel(&plan) => Self {
                plan: Some(plan.unnormalised()),
                ..self
            },
            plan => Self { plan, ..self },
        }
    }

    /// The tokens that have to be scored; `None` if there is nothing to score.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Has a model answer.
    pub(crate) fn asked<M: LanguageModel>(
        &self,
        model: &M,
        objective: &dyn Objective,
        writer: Option<&Writer>,
    ) -> Result<Measured<'p>, TrainError> {
        let log_probs = match self.plan() {
            Some(plan) => model.log_probs(plan)?,
            None => Vec::new(),
        };
        let written = written(objective, writer, |writer| {
            writer.write(model, self.prompts)
        })?;
        Ok(self.answered(&log_probs, written, objective))
    }

    /// Has each of several models answer, which differ as [`LanguageModel::at_once`] says.
    pub(crate) fn asked_of_each<M: LanguageModel>(
        &self,
        models: &[M],
        objective: &dyn Objective,
        writer: Option<&Writer>,
    ) -> Result<Vec<Measured<'p>>, TrainError> {
        let log_probs = match self.plan() {
            Some(plan) => M::log_probs_of_each(models, plan)?,
            None => vec![Vec::new(); models.len()],
        };
        let written = written(objective, writer, |writer| {
            writer.write_by_each(models, self.prompts)
        })?;
        let mut written = written.into_iter().flatten();
        let each = log_probs.iter();
        Ok(each
            .map(|log_probs| self.answered(log_probs, written.next(), objective))
            .collect())
    }

    /// Has a model answer at every point of the probes. `still` is the memory of a step's calls; tokens that went through
    /// the layers once for all probes are those of the first point, unless they are `counted` already.
    pub(crate) fn asked_at_each<M: LanguageModel, P: Probe<M::Backend>>(
        &self,
        model: &M,
        probes: &[P],
        objective: &dyn Objective,
        still: &mut Still<M::Backend>,
        counted: bool,
    ) -> Result<Vec<Measured<'p>>, TrainError> {
        if objective.needs_answers() {
            return Err(TrainError::NoWriter);
        }
        let mut once = counted || still.has_all_layers();
        let log_probs = match self.plan() {
            Some(plan) => model.log_probs_at_each(plan, probes, still)?,
            None => vec![Vec::new(); probes.iter().map(Probe::points).sum()],
        };
        let each = log_probs.iter();
        let measured = each.map(|log_probs| {
            let mut measured = self.answered(log_probs, None, objective);
            if std::mem::replace(&mut once, true) && still.has_all_layers() {
                measured.tokens = 0;
            }
            measured
        });
        Ok(measured.collect())
    }

    /// The prompts with the log-probabilities of the plan.
    pub(crate) fn scored(&self, log_probs: &[f32]) -> Measured<'p> {
        let mut spans = self.plan.iter().flat_map(|plan| plan.spans());
        let examples = self.prompts.iter().zip(&self.chosen);
        Measured {
            examples: examples
                .map(|(prompt, chosen)| Scored {
                    prompt,
                    candidates: chosen
                        .iter()
                        .zip(&mut spans)
                        .map(|(c, span)| (*c, log_probs[span.clone()].to_vec()))
                        .collect(),
                    answer: None,
                    reward: None,
                })
                .collect(),
            tokens: self.plan.as_ref().map_or(0, |plan| plan.stats().tokens),
        }
    }

    /// [`Questions::scored`] with the answers that the model has written, and what they are worth to the objective.
    fn answered(
        &self,
        log_probs: &[f32],
        written: Option<Vec<Written>>,
        objective: &dyn Objective,
    ) -> Measured<'p> {
        let mut measured = self.scored(log_probs);
        let written = written.into_iter().flatten();
        for (scored, written) in measured.examples.iter_mut().zip(written) {
            measured.tokens += written.tokens;
            scored.answer = written.text;
        }
        if let Some(reward) = objective.reward() {
            give_rewards(reward, &mut measured.examples);
        }
        measured
    }
}

/// What is written, if the objective needs it.
fn written<W>(
    objective: &dyn Objective,
    writer: Option<&Writer>,
    write: impl FnOnce(&Writer) -> Result<W, TrainError>,
) -> Result<Option<W>, TrainError> {
    if !objective.needs_answers() {
        return Ok(None);
    }
    write(writer.ok_or(TrainError::NoWriter)?).map(Some)
}

/// Says what every answer is worth.
fn give_rewards(reward: &dyn Reward, examples: &mut [Scored<'_>]) {
    let mut worth = {
        let asked = examples.iter().filter_map(question_and_answer);
        rewards::told(reward, &asked.collect::<Vec<_>>()).into_iter()
    };
    for example in examples {
        if question_and_answer(example).is_some() {
            example.reward = worth.next();
        }
    }
}

fn question_and_answer<'e>(example: &'e Scored<'_>) -> Option<(&'e Question, &'e str)> {
    Some((
        example.prompt.question.as_ref()?,
        example.answer.as_deref()?,
    ))
}
