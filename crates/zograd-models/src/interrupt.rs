//! Giving up a pass in its middle.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ModelError;

scoped_tls::scoped_thread_local!(static STOP: AtomicBool);

/// Does `passes`, and gives up those of a model that run meanwhile on this thread, between two layers or two tokens, with
/// [`ModelError::Interrupted`] once `stop` is raised. For passes that take longer than whoever asks for an end wants to
/// wait; those of a large batch on one thread take many seconds.
///
/// ```
/// use std::sync::atomic::AtomicBool;
/// use zograd_models::{interruptible, is_interrupted};
/// let stop = AtomicBool::new(true);
/// assert!(interruptible(&stop, is_interrupted));
/// assert!(!is_interrupted());
/// ```
pub fn interruptible<T>(stop: &AtomicBool, passes: impl FnOnce() -> T) -> T {
    STOP.set(stop, passes)
}

/// Whether a pass that runs now is to be given up: for models and families of one's own whose passes take long. It is
/// never so outside of [`interruptible`].
pub fn is_interrupted() -> bool {
    STOP.is_set() && STOP.with(|stop| stop.load(Ordering::Relaxed))
}

/// [`is_interrupted`] as an error.
pub(crate) fn go_on() -> Result<(), ModelError> {
    match is_interrupted() {
        true => Err(ModelError::Interrupted),
        false => Ok(()),
    }
}
