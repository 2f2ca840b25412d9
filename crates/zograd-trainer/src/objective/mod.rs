//! What a step minimises.

mod accuracy;
mod answer_f1;
mod classification;
mod teacher_forcing;

use crate::{LanguageModel, TrainError, Writer};
pub use accuracy::Accuracy;
pub use answer_f1::AnswerF1;
pub use classification::Classification;
pub use teacher_forcing::TeacherForcing;
use zograd_models::{ModelError, Plan, PlanError, PlanStats, Sequence, Sharing};
use zograd_tasks::Prompt;

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

    /// The loss of the batch; non-finite if the model's scores are.
    fn loss(&self, batch: &[Scored<'_>]) -> f64;

    /// The derivative of [`Objective::loss`] by every log-probability of the batch, in the order of the examples,
    /// their candidates and the candidates' tokens; `None` if there is none. Only gradient methods ask.
    fn slope(&self, _batch: &[Scored<'_>]) -> Option<Vec<f64>> {
        None
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
    /// (Index of the candidate, natural log-probabilities of its option tokens).
    pub candidates: Vec<(usize, Vec<f32>)>,
    /// What the model wrote, if it was asked to; `None` also if it could not, because its logits are
    /// not finite.
    pub answer: Option<String>,
}

impl Scored<'_> {
    /// Mean log-probability of each scored candidate's tokens.
    pub fn means(&self) -> impl Iterator<Item = f64> {
        self.candidates.iter().map(|(_, tokens)| mean(tokens))
    }
}

/// A batch with what a model says to it, and how many tokens went through the layers for it.
pub type Measured<'p> = (Vec<Scored<'p>>, usize);

/// Everything `objective` asks of a batch, and how many tokens went through the layers for it.
///
/// # Errors
/// As [`score`]; and an objective that needs answers without a `writer`, or without questions.
pub fn measure<'p, M: LanguageModel>(
    model: &M,
    prompts: &[&'p Prompt],
    objective: &dyn Objective,
    writer: Option<&Writer>,
) -> Result<Measured<'p>, TrainError> {
    let (mut scored, stats) = score(model, prompts, |prompt| objective.candidates(prompt))?;
    let tokens = answer(model, &mut scored, prompts, objective, writer)?;
    Ok((scored, stats.tokens + tokens))
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
    let questions = Questions::new(prompts, |prompt| objective.candidates(prompt))?;
    let log_probs = match &questions.plan {
        Some(plan) => M::log_probs_of_each(models, plan)?,
        None => vec![Vec::new(); models.len()],
    };
    models
        .iter()
        .zip(log_probs)
        .map(|(model, log_probs)| {
            let mut scored = questions.scored(&log_probs);
            let tokens = answer(model, &mut scored, prompts, objective, writer)?;
            Ok((scored, questions.stats().tokens + tokens))
        })
        .collect()
}

/// Lets the model write an answer to each prompt, if the objective needs one; how many tokens that took.
fn answer<M: LanguageModel>(
    model: &M,
    scored: &mut [Scored<'_>],
    prompts: &[&Prompt],
    objective: &dyn Objective,
    writer: Option<&Writer>,
) -> Result<usize, TrainError> {
    let mut tokens = 0;
    if objective.needs_answers() {
        let writer = writer.ok_or(TrainError::NoWriter)?;
        for (scored, written) in scored.iter_mut().zip(writer.write(model, prompts)?) {
            tokens += written.tokens;
            scored.answer = written.text;
        }
    }
    Ok(tokens)
}

/// Scores the candidates that `select` names of every prompt in one forward.
///
/// # Errors
/// If a candidate has nothing to score, or the model refuses its tokens.
pub fn score<'p, M: LanguageModel>(
    model: &M,
    prompts: &[&'p Prompt],
    select: impl Fn(&Prompt) -> Vec<usize>,
) -> Result<(Vec<Scored<'p>>, PlanStats), TrainError> {
    score_with(prompts, select, |plan| model.log_probs(plan))
}

/// [`score`], by whatever gives the log-probabilities of a plan; it is called once, unless there is nothing to score.
pub(crate) fn score_with<'p>(
    prompts: &[&'p Prompt],
    select: impl Fn(&Prompt) -> Vec<usize>,
    log_probs: impl FnOnce(&Plan) -> Result<Vec<f32>, ModelError>,
) -> Result<(Vec<Scored<'p>>, PlanStats), TrainError> {
    let questions = Questions::new(prompts, select)?;
    let log_probs = match &questions.plan {
        Some(plan) => log_probs(plan)?,
        None => Vec::new(),
    };
    Ok((questions.scored(&log_probs), questions.stats()))
}

/// What is to be scored of a batch.
struct Questions<'a, 'p> {
    prompts: &'a [&'p Prompt],
    /// The candidates of each prompt.
    chosen: Vec<Vec<usize>>,
    /// `None` if there is nothing to score.
    plan: Option<Plan>,
}

impl<'a, 'p> Questions<'a, 'p> {
    fn new(
        prompts: &'a [&'p Prompt],
        select: impl Fn(&Prompt) -> Vec<usize>,
    ) -> Result<Self, TrainError> {
        let chosen: Vec<Vec<usize>> = prompts.iter().map(|prompt| select(prompt)).collect();
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
                PlanError::Empty => 0,
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

    fn stats(&self) -> PlanStats {
        self.plan
            .as_ref()
            .map_or_else(PlanStats::default, Plan::stats)
    }

    /// The prompts with the log-probabilities of the plan.
    fn scored(&self, log_probs: &[f32]) -> Vec<Scored<'p>> {
        let mut spans = self.plan.iter().flat_map(|plan| plan.spans());
        self.prompts
            .iter()
            .zip(&self.chosen)
            .map(|(prompt, chosen)| Scored {
                prompt,
                candidates: chosen
                    .iter()
                    .zip(&mut spans)
                    .map(|(c, span)| (*c, log_probs[span.clone()].to_vec()))
                    .collect(),
                answer: None,
            })
            .collect()
    }
}

/// Index of the largest score, the first among equals; NaN never wins.
pub(crate) fn best(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, s) in scores.iter().enumerate() {
        if *s > scores[best] || scores[best].is_nan() {
            best = i;
        }
    }
    best
}

/// Whether a choice is among the right ones; never if a score is not finite.
pub(crate) fn is_right(prompt: &Prompt, chosen: usize, scores: &[f64]) -> bool {
    prompt.correct.contains(&chosen) && scores.iter().all(|score| score.is_finite())
}

pub(crate) fn mean(tokens: &[f32]) -> f64 {
    tokens.iter().map(|t| f64::from(*t)).sum::<f64>() / tokens.len() as f64
}

/// `exp(x) / sum(exp(x))` without overflow.
pub(crate) fn softmax(x: &[f64]) -> Vec<f64> {
    let total = log_sum_exp(x);
    x.iter().map(|v| (v - total).exp()).collect()
}

/// `ln(sum(exp(x)))` without overflow.
pub(crate) fn log_sum_exp(x: &[f64]) -> f64 {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !max.is_finite() {
        return f64::NAN;
    }
    max + x.iter().map(|v| (v - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_tasks::EncodedCandidate;

    pub(super) fn prompt(candidates: usize, correct: usize) -> Prompt {
        let candidate = |k| EncodedCandidate {
            text: String::new(),
            ids: vec![2, 5, k],
            option_len: 1,
            truncated: 0,
        };
        Prompt {
            row: 0,
            candidates: (0..candidates as u32).map(candidate).collect(),
            correct: vec![correct],
            ..Prompt::default()
        }
    }

    pub(super) fn scored<'a>(prompt: &'a Prompt, scores: &[&[f32]]) -> Scored<'a> {
        Scored {
            prompt,
            candidates: scores.iter().map(|s| s.to_vec()).enumerate().collect(),
            answer: None,
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

    #[test]
    fn the_first_of_the_best_wins_and_nan_never() {
        assert_eq!(best(&[-1.0, -0.5, -0.5]), 1);
        assert_eq!(best(&[f64::NAN, -3.0, -2.0, f64::NAN]), 2);
        assert_eq!(best(&[-1.0, f64::NAN]), 0);
    }
}
