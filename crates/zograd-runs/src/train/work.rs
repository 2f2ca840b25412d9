//! What every way of training is given.

use super::recorder::Recorder;
use crate::settings::Settings;
use std::sync::atomic::AtomicBool;
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
}
