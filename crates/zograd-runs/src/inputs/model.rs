//! Loading and measuring a model.

use crate::backend::RunBackend;
use crate::error::{Blame, Problem, Result, RunError, refuse};
use crate::watch::Watch;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::{
    AdapterError, LoadError, LoadOptions, Model, ReadError, Storage, interruptible,
};
use zograd_ranks::Ranks;
use zograd_tasks::Prompt;
use zograd_trainer::{Evaluation, Scoring, TrainError, evaluate_on};

/// Loads the weights of a model folder; the caller says whose folder it is.
///
/// # Errors
/// Files that are missing, damaged, or of another shape than config.json says.
pub fn load<B: RunBackend>(
    folder: &Path,
    storage: Storage,
    device: &B::Device,
) -> Result<Model<B>> {
    let (model, _) = Model::load(folder, &LoadOptions::of(storage), device).or_input()?;
    Ok(model)
}

/// [`load`] of weights that a run wrote: where they are damaged there is nothing to download again.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_own<B: RunBackend>(
    folder: &Path,
    storage: Storage,
    device: &B::Device,
) -> Result<Model<B>> {
    match Model::load(folder, &LoadOptions::of(storage), device) {
        Err(LoadError::Weights(ReadError::Damaged { file, reason })) => damaged(&file, &reason),
        other => Ok(other.about_file(folder)?.0),
    }
}

/// `base` with an adapter that a run wrote.
///
/// # Errors
/// It is damaged, or does not fit.
pub(crate) fn with_own_adapter<B: RunBackend>(base: Model<B>, folder: &Path) -> Result<Model<B>> {
    match base.without_adapter().with_adapter_from(folder) {
        Err(AdapterError::Weights(ReadError::Damaged { file, reason })) => damaged(&file, &reason),
        other => other.about_file(folder),
    }
}

fn damaged<T>(file: &Path, reason: &str) -> Result<T> {
    refuse!("{} is damaged: {reason}", file.display())
}

/// Prompts, and how the answers to them are scored.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'a> {
    /// The prompts.
    pub prompts: &'a [Prompt],
    /// How answers are produced and scored.
    pub scoring: &'a Scoring,
    /// Examples of a forward.
    pub batch_size: usize,
    /// When it becomes true, the evaluation is given up.
    pub stop: Option<&'a AtomicBool>,
    /// Those that share the prompts.
    pub ranks: &'a Ranks,
}

/// Evaluates; whoever looks on is told that this is `what`.
///
/// # Errors
/// Prompts the model cannot score; [`RunError::Stopped`] if it was given up.
pub fn score<B: RunBackend>(
    model: &Model<B>,
    questions: Questions<'_>,
    what: &'static str,
    watch: &mut dyn Watch,
) -> Result<Evaluation> {
    let Questions {
        prompts,
        scoring,
        batch_size,
        stop,
        ranks,
    } = questions;
    let goes_on = || match stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let given_up = || RunError::Stopped(Problem::new(format!("interrupted: {what}")));
    if goes_on().is_break() {
        return Err(given_up());
    }
    watch.work_begins(what, prompts.len() as u64);
    let mut evaluating = || {
        evaluate_on(ranks, model, prompts, scoring, batch_size, |done| {
            watch.work_done(done as u64);
            goes_on()
        })
    };
    let evaluation = match stop {
        Some(stop) => interruptible(stop, evaluating),
        None => evaluating(),
    };
    watch.work_ends();
    match evaluation {
        Err(TrainError::Stopped) => Err(given_up()),
        // a program failed, and not the input
        Err(error @ TrainError::Reward(_)) => Err(error).while_running(),
        other => other.or_input(),
    }
}
