//! What the files beside a log say it leads to.

use crate::error::{Blame, Result, refuse};
use crate::folder::{MANIFEST, Manifest, SUMMARY, Summary};
use crate::settings::BackendName;
use crate::words::count;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::Path;
use zograd_files::MAX_SMALL_BYTES;

/// What the file beside a log, of an export or of a run that ended, says the log leads to. A log that was cut at the end
/// of a record, or lengthened, looks whole by itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Promise {
    /// The file that says so.
    pub file: &'static str,
    /// Steps that the log has.
    pub steps: u64,
    /// The step of the best weights, if it is known.
    pub best_step: Option<u64>,
    /// By how much the logit of which token is larger with the best weights than the log makes it.
    logit_shift: Vec<(u32, f64)>,
    /// Content hash of the weights after the last step.
    weights: String,
    /// That of the best weights.
    best_weights: Option<String>,
    /// Where these were computed, if it matters.
    backend: Option<String>,
}

impl Promise {
    /// What is said beside this log, if anything is.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn beside(log: &Path) -> Result<Option<Self>> {
        if let Some(manifest) = read::<Manifest>(&log.with_file_name(MANIFEST))? {
            return Ok(Some(Self {
                file: MANIFEST,
                steps: manifest.step,
                best_step: None,
                logit_shift: manifest.logit_shift,
                weights: manifest.weights,
                best_weights: None,
                backend: None,
            }));
        }
        let summary = read::<Summary>(&log.with_file_name(SUMMARY))?;
        Ok(summary.map(|summary| Self {
            file: SUMMARY,
            steps: summary.steps,
            best_step: summary.best_step,
            logit_shift: summary.logit_shift,
            weights: summary.weights,
            best_weights: summary.best_weights,
            backend: Some(summary.backend),
        }))
    }

    /// Refuses a log of another length.
    ///
    /// # Errors
    /// It has fewer or more steps.
    pub(crate) fn check_length(&self, steps: u64) -> Result<()> {
        if steps != self.steps {
            refuse!(
                "the log has {} and {} says {}: it was cut, lengthened or mixed up (`to-step` replays a \
                 part of it all the same)",
                count(steps, "step"),
                self.file,
                self.steps
            );
        }
        Ok(())
    }

    /// Why nothing is said about the best weights as they come out on this backend.
    pub(crate) fn silence(&self, backend: BackendName) -> String {
        match &self.backend {
            Some(theirs) if *theirs != backend.to_string() => format!(
                "{} has the hash of weights that were computed on {theirs}, and others round differently",
                self.file
            ),
            _ => format!(
                "the run did not come to its end, and {} has no hash of its best weights",
                self.file
            ),
        }
    }

    /// What is still to be done to the weights after this step to have the best ones, if `best` are asked for. An export
    /// leads to them in any case.
    pub(crate) fn logit_shift(&self, step: u64, best: bool) -> &[(u32, f64)] {
        match self.leads_to_best(step, best) {
            true => &self.logit_shift,
            false => &[],
        }
    }

    /// Whether the weights after this step are to be the best ones.
    pub(crate) fn leads_to_best(&self, step: u64, best: bool) -> bool {
        match self.file {
            MANIFEST => step == self.steps,
            _ => best && step == self.best_step.unwrap_or(self.steps),
        }
    }

    /// Whether these are the weights after this step, or, with their shift of logits, the best ones; `None` if nothing is
    /// said about them.
    pub(crate) fn kept(
        &self,
        (step, best): (u64, bool),
        weights: &str,
        backend: BackendName,
    ) -> Option<bool> {
        let is_shifted = !self.logit_shift(step, best).is_empty();
        let elsewhere = |said: &String| *said != backend.to_string();
        if self.backend.as_ref().is_some_and(elsewhere) {
            return None;
        }
        let said = if is_shifted && self.file == SUMMARY {
            self.best_weights.as_ref()
        } else if step == self.steps {
            Some(&self.weights)
        } else if Some(step) == self.best_step && self.logit_shift.is_empty() {
            self.best_weights.as_ref()
        } else {
            None
        };
        Some(said.filter(|said| !said.is_empty())? == weights)
    }
}

/// The file, unless there is none.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match zograd_files::read_text(path, MAX_SMALL_BYTES) {
        Ok(text) => serde_json::from_str(&text).about_file(path).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).about_file(path),
    }
}
