use crate::{LanguageModel, TrainError};
use zograd_models::{Plan, PlanError, PlanStats, Sequence, Sharing};
use zograd_tasks::Prompt;

/// The loss of a batch of prompts, from the log-probabilities of their candidates' tokens.
///
/// Implement it to optimise something else; it need not be differentiable.
pub trait Objective: Send + Sync {
    /// Which candidates of this prompt have to be scored, as indices into `prompt.candidates`.
    fn candidates(&self, prompt: &Prompt) -> Vec<usize>;

    /// The loss of the batch; non-finite if the model's scores are.
    fn loss(&self, batch: &[Scored<'_>]) -> f64;
}

/// A prompt with the log-probabilities of the tokens of its scored candidates.
#[derive(Clone, Debug)]
pub struct Scored<'a> {
    /// The prompt.
    pub prompt: &'a Prompt,
    /// (Index of the candidate, natural log-probabilities of its option tokens).
    pub candidates: Vec<(usize, Vec<f32>)>,
}

impl Scored<'_> {
    /// Mean log-probability of each scored candidate's tokens.
    pub fn means(&self) -> impl Iterator<Item = f64> {
        self.candidates.iter().map(|(_, tokens)| mean(tokens))
    }
}

/// Cross-entropy over the candidates of each example, whose score is the mean log-probability of their
/// option tokens; mean over examples. (MeZO's `forward_wrap_with_option_len` for classification and
/// multiple choice.) Of several right candidates the first counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Classification;

impl Objective for Classification {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        (0..prompt.candidates.len()).collect()
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        let losses = batch.iter().map(|example| {
            let scores: Vec<f64> = example.means().collect();
            let right = example.prompt.correct.first().and_then(|c| scores.get(*c));
            log_sum_exp(&scores) - right.copied().unwrap_or(f64::NAN)
        });
        losses.sum::<f64>() / batch.len() as f64
    }
}

/// Negative log-likelihood of the option tokens of the right candidate, mean over all option tokens of the
/// batch, so that longer options weigh more, as in the originals.
#[derive(Clone, Copy, Debug, Default)]
pub struct TeacherForcing;

impl Objective for TeacherForcing {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        prompt.correct.first().copied().into_iter().collect()
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        let tokens = || {
            let candidates = batch.iter().flat_map(|example| &example.candidates);
            candidates.flat_map(|(_, tokens)| tokens)
        };
        -tokens().map(|t| f64::from(*t)).sum::<f64>() / tokens().count() as f64
    }
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
    let plan = Plan::new(&groups, Sharing::Prefix).map_err(|source| {
        let group = match &source {
            PlanError::NothingScored { group, .. } | PlanError::NoContext { group, .. } => *group,
            PlanError::Empty => 0,
        };
        let row = prompts.get(group).map_or(0, |prompt| prompt.row);
        TrainError::Plan { row, source }
    })?;
    let log_probs = model.log_probs(&plan)?;
    let mut spans = plan.spans().iter();
    let scored = prompts
        .iter()
        .zip(chosen)
        .map(|(prompt, chosen)| Scored {
            prompt,
            candidates: chosen
                .into_iter()
                .zip(&mut spans)
                .map(|(c, span)| (c, log_probs[span.clone()].to_vec()))
                .collect(),
        })
        .collect();
    Ok((scored, plan.stats()))
}

fn mean(tokens: &[f32]) -> f64 {
    tokens.iter().map(|t| f64::from(*t)).sum::<f64>() / tokens.len() as f64
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

    fn prompt(candidates: usize, correct: usize) -> Prompt {
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
        }
    }

    fn scored<'a>(prompt: &'a Prompt, scores: &[&[f32]]) -> Scored<'a> {
        Scored {
            prompt,
            candidates: scores.iter().map(|s| s.to_vec()).enumerate().collect(),
        }
    }

    #[test]
    fn classification_is_cross_entropy_of_mean_scores() {
        let (a, b) = (prompt(2, 1), prompt(2, 0));
        // means -1 and -2; a right answer of the worse candidate costs 1 more than of the better one
        let batch = [
            scored(&a, &[&[-0.5, -1.5], &[-2.0]]),
            scored(&b, &[&[-1.0], &[-2.0]]),
        ];
        let softplus = |x: f64| x.exp().ln_1p();
        let expected = (softplus(1.0) + softplus(-1.0)) / 2.0;
        assert!((Classification.loss(&batch) - expected).abs() < 1e-12);
    }

    #[test]
    fn teacher_forcing_weighs_tokens_not_examples() {
        let (a, b) = (prompt(2, 0), prompt(2, 1));
        assert_eq!(TeacherForcing.candidates(&b), [1]);
        let batch = [scored(&a, &[&[-1.0, -2.0, -3.0]]), scored(&b, &[&[-6.0]])];
        assert_eq!(TeacherForcing.loss(&batch), 3.0);
    }

    #[test]
    fn non_finite_scores_give_a_non_finite_loss() {
        let a = prompt(2, 0);
        for bad in [f32::NAN, f32::NEG_INFINITY] {
            assert!(
                !Classification
                    .loss(&[scored(&a, &[&[bad], &[-1.0]])])
                    .is_finite()
            );
            assert!(!TeacherForcing.loss(&[scored(&a, &[&[bad]])]).is_finite());
        }
    }
}
