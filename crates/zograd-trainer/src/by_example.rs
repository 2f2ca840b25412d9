//! Examples of a batch, each at points of its own.

use crate::measure::Questions;
use crate::{LanguageModel, Loss, Objective, TrainError};
use zograd_models::{Plan, Probe};
use zograd_tasks::Prompt;

/// The losses of the examples of a batch, each at points of its own: the points of the probes are those of the first
/// example, as many of the second, and so on, and a loss is that of its example alone. For an objective that needs no
/// answers.
///
/// Where the loss of a batch is a mean over terms of which examples have more and fewer ([`Objective::terms`]), that of
/// an example is weighed by them, so that the mean over examples is the loss of the batch.
///
/// # Errors
/// As [`measure_at_each`](crate::measure_at_each); [`TrainError::PerExample`] if probes and examples do not go together.
pub fn losses_by_example<M: LanguageModel, P: Probe<M::Backend>>(
    model: &M,
    probes: &[P],
    batch: &[&Prompt],
    objective: &dyn Objective,
) -> Result<Vec<Loss>, TrainError> {
    if objective.needs_answers() {
        return Err(TrainError::NoWriter);
    }
    let each = batch
        .chunks(1)
        .map(|one| Questions::of_loss(one, objective));
    let each: Vec<Questions<'_, '_>> = each.collect::<Result<_, _>>()?;
    let points: usize = probes.iter().map(Probe::points).sum();
    let own = points / batch.len().max(1);
    let runs = runs(probes, own).filter(|runs| runs.len() == batch.len());
    let runs = runs.ok_or(TrainError::PerExample(
        "probes that are as many for each example",
    ))?;
    let parts = each.iter().zip(runs).map(|(questions, probes)| {
        let plan = questions.plan();
        plan.map(|plan| (plan, probes))
    });
    let parts: Option<Vec<(&Plan, &[P])>> = parts.collect();
    let parts = parts.ok_or(TrainError::PerExample(
        "an objective that scores every example",
    ))?;
    let scores = model.log_probs_at_own(&parts)?;
    let questions = each.iter().flat_map(|one| std::iter::repeat_n(one, own));
    let mut losses: Vec<Loss> = questions
        .zip(&scores)
        .map(|(one, scores)| one.scored(scores).loss(objective))
        .collect();
    let terms = losses.iter().step_by(own.max(1)).map(|loss| loss.terms);
    let mean_terms = terms.sum::<u64>() as f64 / batch.len() as f64;
    for loss in &mut losses {
        loss.mean *= loss.terms as f64 / mean_terms;
    }
    Ok(losses)
}

/// The probes in runs of so many points.
fn runs<B: burn::tensor::backend::Backend, P: Probe<B>>(
    mut probes: &[P],
    points: usize,
) -> Option<Vec<&[P]>> {
    let mut runs = Vec::new();
    while !probes.is_empty() {
        let (mut count, mut found) = (0, 0);
        while found < points {
            found += probes.get(count)?.points();
            count += 1;
        }
        if found != points || count == 0 {
            return None;
        }
        let (run, rest) = probes.split_at(count);
        runs.push(run);
        probes = rest;
    }
    Some(runs)
}
