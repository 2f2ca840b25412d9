//! Reading the folder of a run, for those who look at it afterwards.

use super::environment::Environment;
use super::files::{CONFIG, METRICS, SUMMARY};
use super::manifest::refuse_export;
use super::metrics::{self, Line};
use super::summary::Summary;
use crate::error::{Blame, Result, RunError, refuse};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;
use zograd_tasks::metrics::Metric;
use zograd_trainer::{EvalRecord, StepRecord, StopReason};

/// The largest metrics that are read: some ten million steps.
pub(super) const MAX_METRICS_BYTES: u64 = 4 << 30;

/// A run, finished or not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunRecord {
    /// Its folder, as it was named.
    pub folder: PathBuf,
    /// Its `config.toml`.
    pub settings: toml::Table,
    /// Metrics of its steps.
    pub steps: Vec<StepRecord>,
    /// Its evaluations.
    pub evals: Vec<EvalRecord>,
    /// Its `summary.json`, if it came to an end.
    pub summary: Option<Summary>,
    /// What it ran on.
    pub environments: Vec<Environment>,
}

impl RunRecord {
    /// Reads a run folder.
    ///
    /// # Errors
    /// A folder that is none, a `config.toml` or `summary.json` that does not parse.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = |file: &str| folder.join(file);
        refuse_export(folder, "name folders of runs").about_file(folder)?;
        let config = match zograd_files::read_text(&path(CONFIG), MAX_SMALL_BYTES) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => refuse!(
                "{}: no run folder (it has no {CONFIG}); name folders of runs",
                folder.display()
            ),
            Err(e) => return Err(e).about_file(&path(CONFIG)),
        };
        let settings = config
            .parse()
            .map_err(|e: toml::de::Error| RunError::input(e.message()))
            .about_file(&path(CONFIG))?;
        let metrics = match zograd_files::read(&path(METRICS), MAX_METRICS_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e).about_file(&path(METRICS)),
        };
        let summary = match zograd_files::read_text(&path(SUMMARY), MAX_SMALL_BYTES) {
            Ok(text) => Some(serde_json::from_str(&text).about_file(&path(SUMMARY))?),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(e).about_file(&path(SUMMARY)),
        };
        let mut run = Self {
            folder: folder.to_owned(),
            settings,
            steps: Vec::new(),
            evals: Vec::new(),
            summary,
            environments: Environment::read(folder),
        };
        for (line, _) in metrics::lines(&metrics) {
            match line {
                Line::Step(step) => run.steps.push(step),
                Line::Eval(eval) => run.evals.push(eval.record),
            }
        }
        Ok(run)
    }

    /// Whether all its steps are done, or as many as its patience or its budget allowed.
    pub fn finished(&self) -> bool {
        let stop = self.summary.as_ref().map(|summary| summary.stop);
        matches!(
            stop,
            Some(StopReason::Finished | StopReason::Patience | StopReason::Budget)
        )
    }

    /// Whether nothing is left to do: all steps are done, or a guard stopped it.
    pub fn over(&self) -> bool {
        let stop = self.summary.as_ref().map(|summary| summary.stop);
        stop.is_some_and(|stop| stop != StopReason::Interrupted)
    }

    /// The evaluation whose weights were kept.
    pub fn best(&self) -> Option<&EvalRecord> {
        self.evals.iter().rfind(|eval| eval.best)
    }

    /// What its scores are, if it was evaluated.
    pub fn metric(&self) -> Option<Metric> {
        self.evals.first().map(|eval| eval.dev_score.metric())
    }

    /// Seconds of training, evaluation not counted.
    pub fn seconds(&self) -> f64 {
        self.steps.last().map_or(0.0, |step| step.seconds)
    }

    /// Forward passes of training.
    pub fn forwards(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.forwards)
    }

    /// A setting as text, `-` if it is not there.
    pub fn setting(&self, key: &str) -> String {
        self.settings
            .get(key)
            .map_or_else(|| "-".into(), crate::words::value)
    }
}
