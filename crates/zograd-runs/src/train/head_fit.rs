//! The fit of the norm before the head, with which a run may begin.

use super::option_bias::option_tokens;
use super::prepare::{Prepared, classes};
use super::start::Resumed;
use crate::backend::RunBackend;
use crate::error::{Blame, Problem, Result, RunError, refuse};
use crate::watch::Watch;
use crate::words::{count, number};
use zograd_models::Model;
use zograd_perturb::Seed;
use zograd_ranks::Ranks;
use zograd_tasks::{Prompt, sample_indices};
use zograd_trainer::{HeadFit, HeadFitStage};

/// Child of the run's seed that draws the examples.
const DRAW: u64 = 5;

/// The name under which the fit of the norm before the head begins as a piece of work, in [`Watch::work_begins`].
pub const HEAD_FIT: &str = "head fit";

/// The fit that the run begins with, if with one: that of the run that is resumed, or a new one. Every rank makes it for
/// itself.
///
/// # Errors
/// A model that has no such norm; it was interrupted, before anything was written.
pub(super) fn fit<B: RunBackend>(
    prepared: &Prepared,
    base: &Model<B>,
    resumed: Option<&Resumed<'_>>,
    (ranks, watch): (&Ranks, &mut dyn Watch),
) -> Result<Option<HeadFit>> {
    let settings = &prepared.settings;
    let Some(rows) = settings.head_fit() else {
        return Ok(None);
    };
    if let Some(run) = resumed {
        return Ok(run.header.head_fit.clone());
    }
    let train = &prepared.data.train;
    let Some(tokens) = option_tokens(train) else {
        refuse!("`head-fit = {rows}`: the options are not one token each");
    };
    let drawn = sample_indices(
        Seed::new(settings.config.seed).child(DRAW),
        train.len(),
        rows,
    );
    let drawn: Vec<Prompt> = drawn.into_iter().map(|at| train[at].clone()).collect();
    if classes(&drawn).len() == 1 {
        watch.note(&format!(
            "note: all rows of the head fit ({}) are of one class, so that it learns to say that; fit more rows (`head-fit`), or none",
            drawn.len()
        ));
    }
    watch.work_begins(HEAD_FIT, drawn.len() as u64);
    let mut fitting = false;
    let progress = |stage| match stage {
        HeadFitStage::Features(done) => watch.work_done(done as u64),
        HeadFitStage::Fits { done, of } => {
            if !std::mem::replace(&mut fitting, true) {
                watch.work_ends();
                watch.work_begins("fits", of as u64);
            }
            watch.work_done(done as u64);
        }
    };
    let (batch_size, stop) = (settings.config.batch_size, ranks.asked());
    let examples = (drawn.as_slice(), tokens.as_slice());
    let fit = HeadFit::of(
        base,
        examples,
        batch_size,
        settings.calibrates(),
        stop,
        progress,
    );
    watch.work_ends();
    let Some(fit) = fit.or_input()? else {
        let line = "interrupted: head fit; nothing was written";
        return Err(RunError::Stopped(Problem::new(line)));
    };
    watch.note(&in_words(&fit));
    Ok(Some(fit))
}

/// What was fitted, in a line.
fn in_words(fit: &HeadFit) -> String {
    let paid = format!(
        "{}, {}",
        count(fit.examples as u64, "training example"),
        count(fit.forwards, "forward")
    );
    let held_out = fit.held_out.map_or_else(String::new, |loss| {
        format!(" (held-out examples: {loss:.4})")
    });
    let what = match fit.penalty {
        Some(penalty) => format!(
            "the gain of the norm before the head, penalty {}",
            number(penalty)
        ),
        None if fit.logit_shift.is_empty() => "nothing".into(),
        None => "biases of the options alone".into(),
    };
    format!(
        "head fit on {paid}: {what}; loss of the options {:.4}{held_out}",
        fit.loss
    )
}

/// `base` with this fit, if there is one.
///
/// # Errors
/// It does not fit the model.
pub(super) fn fitted<B: RunBackend>(base: Model<B>, fit: Option<&HeadFit>) -> Result<Model<B>> {
    let Some(fit) = fit else {
        return Ok(base);
    };
    match fit.applied(base) {
        Some(model) => Ok(model),
        None => refuse!("the log's fit of the norm before the head does not fit the model"),
    }
}
