//! How a model is asked what an objective wants to know.

use crate::{LanguageModel, Loss, Objective, Scored, TrainError, Writer};
use zograd_models::{Plan, PlanError, Sequence, Sharing};
use zograd_tasks::Prompt;

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
        Loss::new(objective.loss(&self.examples))
            .with_terms(objective.terms(&self.examples) as u64)
            .with_tokens(self.tokens as u64)
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
    let questions = Questions::new(prompts, objective)?;
    let log_probs = match questions.plan() {
        Some(plan) => model.log_probs(plan)?,
        None => Vec::new(),
    };
    questions.answered(&log_probs, model, objective, writer)
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
    let questions = Questions::new(prompts, objective)?;
    let log_probs = match questions.plan() {
        Some(plan) => M::log_probs_of_each(models, plan)?,
        None => vec![Vec::new(); models.len()],
    };
    let each = models.iter().zip(&log_probs);
    each.map(|(model, log_probs)| questions.answered(log_probs, model, objective, writer))
        .collect()
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
        Ok(Self {
            prompts,
            chosen,
            plan,
        })
    }

    /// The tokens that have to be scored; `None` if there is nothing to score.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
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
                })
                .collect(),
            tokens: self.plan.as_ref().map_or(0, |plan| plan.stats().tokens),
        }
    }

    /// [`Questions::scored`], and the answers that the model writes if the objective needs them.
    pub(crate) fn answered<M: LanguageModel>(
        &self,
        log_probs: &[f32],
        model: &M,
        objective: &dyn Objective,
        writer: Option<&Writer>,
    ) -> Result<Measured<'p>, TrainError> {
        let mut measured = self.scored(log_probs);
        if objective.needs_answers() {
            let writer = writer.ok_or(TrainError::NoWriter)?;
            let written = writer.write(model, self.prompts)?;
            for (scored, written) in measured.examples.iter_mut().zip(written) {
                measured.tokens += written.tokens;
                scored.answer = written.text;
            }
        }
        Ok(measured)
    }
}
