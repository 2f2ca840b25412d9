//! What a run tells whoever looks on.

use std::error::Error;
use std::path::Path;
use zograd_trainer::{EvalRecord, Limit, StepRecord};

/// Looks on while something runs: shows bars, prints notes, draws curves. All methods do nothing unless they are
/// written.
///
/// Notes name settings in backquotes, as [`Problem`](crate::Problem)s do.
pub trait Watch: Send {
    /// Something a person should know.
    fn note(&mut self, _line: &str) {}

    /// A long piece of work begins; `total` of its parts are to do.
    fn work_begins(&mut self, _what: &'static str, _total: u64) {}

    /// So many parts of it are done.
    fn work_done(&mut self, _done: u64) {}

    /// It is over.
    fn work_ends(&mut self) {}

    /// All is read and loaded: from here on something is written, and a run that is asked to stop saves what it did.
    /// Before, there is nothing to save.
    fn writing_begins(&mut self) {}

    /// A run begins; what is going to be done, in a line.
    fn run_begins(&mut self, _line: &str) {}

    /// What a long run will take from now on, in a line, as soon as its first steps tell.
    fn run_expects(&mut self, _line: &str) {}

    /// Training begins in this run folder, or goes on after the steps and evaluations that it has already.
    fn training_begins(&mut self, _run: &RunNote<'_>) {}

    /// A step is done and written down.
    fn on_step(&mut self, _step: &StepRecord) {}

    /// The model was evaluated.
    fn on_eval(&mut self, _eval: &EvalRecord) {}

    /// Training is over; what is to be kept beside the run can be written now.
    ///
    /// # Errors
    /// Something that had to be written was not: the run fails.
    fn training_ends(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// What can be told of a run before its first step.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RunNote<'a> {
    /// Its folder.
    pub folder: &'a Path,
    /// Model and task in words.
    pub title: &'a str,
    /// Steps it is to have in all; 0 if it has none.
    pub steps: u64,
    /// What ends it instead, if its number of steps is not known.
    pub limit: Option<Limit>,
    /// Steps that were done before, in a run that is resumed.
    pub done: &'a [StepRecord],
    /// Evaluations among them.
    pub evals: &'a [EvalRecord],
}

/// Looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Watch for Quiet {}
