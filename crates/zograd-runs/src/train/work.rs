//! What every way of training is given.

use super::recorder::Recorder;
use crate::error::{Problem, RunError};
use crate::settings::Settings;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use zograd_ranks::Ranks;
use zograd_select::Methods;
use zograd_trainer::{Examples, Objective};

/// What every way of training is given.
pub(super) struct Work<'a, 'w> {
    pub(super) settings: &'a Settings,
    pub(super) methods: &'a Methods,
    pub(super) objective: &'a dyn Objective,
    pub(super) examples: Examples<'a>,
    pub(super) recorder: &'a mut Recorder<'w>,
    pub(super) stop: &'a AtomicBool,
    pub(super) ranks: &'a Ranks,
}

/// The error of a run that was asked to stop where it had nothing to save.
pub(super) fn stopped(run: &Path, has_log: bool) -> RunError {
    RunError::Stopped(Problem::new(in_between(run, has_log)))
}

/// What is said of it.
pub(super) fn in_between(run: &Path, has_log: bool) -> String {
    match has_log {
        true => format!(
            "interrupted between two steps; resume it with `resume = {}`",
            run.display()
        ),
        false => "interrupted between two steps; a run without a log cannot be resumed".into(),
    }
}
