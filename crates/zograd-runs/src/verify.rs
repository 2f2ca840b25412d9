//! Whether a log is whole, and follows from its losses.

use crate::Runs;
use crate::error::{Blame, Result};
use crate::folder::{check_replays, note_tail};
use crate::promise::Promise;
use crate::watch::Watch;
use serde::Serialize;
use std::path::Path;
use zograd_trainer::trajectory::{Tail, Trajectory, retell};

/// What a check of a log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Steps that the log has.
    pub steps: u64,
    /// Steps that it should have.
    pub steps_due: u64,
    /// Bytes behind the last whole record.
    pub torn_bytes: u64,
    /// Whether nothing is missing and nothing is left over.
    pub whole: bool,
    /// What says how many steps are due: a file beside the log, or its header.
    #[serde(skip)]
    pub said_by: &'static str,
}

impl Runs {
    /// Takes every decision of a log's method again from the logged losses, and compares its length with what the files
    /// beside it say ([`Promise`]), or else its header.
    ///
    /// # Errors
    /// A file that is no log, a method that is not known, an update that does not follow from its losses.
    pub fn verify(&self, log: &Path, watch: &mut dyn Watch) -> Result<Verified> {
        let (file, log) = (log, Trajectory::read(log).or_input()?);
        check_replays(&log.header).about(format!("`log = {}`", file.display()))?;
        let mut strategy = self.methods().build(&log.header.method).or_input()?;
        retell(strategy.as_mut(), &log.header, &log.records).or_input()?;
        let promise = Promise::beside(file)?;
        note_tail(&log.tail, watch);
        let steps = log.records.len() as u64;
        let torn_bytes = match &log.tail {
            Tail::Clean => 0,
            Tail::Torn { bytes, .. } => *bytes,
        };
        let (steps_due, said_by) = match &promise {
            Some(promise) => (promise.steps, promise.file),
            // only the end of the run says it
            None if log.header.config.limit.is_some() => (steps, "nothing"),
            None => (log.header.config.steps, "its header"),
        };
        // of a run with a limit on tokens or seconds nothing but a file beside the log says that it came to its end
        let ended = promise.is_some() || log.header.config.limit.is_none();
        Ok(Verified {
            steps,
            steps_due,
            torn_bytes,
            whole: torn_bytes == 0 && steps == steps_due && ended,
            said_by,
        })
    }
}
