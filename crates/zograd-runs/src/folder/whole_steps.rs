//! Where an interrupted run can be resumed: what its folder holds that belongs together.
//!
//! A step is whole when the log and the metrics both have it, and the evaluation that was due after it is in
//! the metrics too. Everything behind the last whole step is cut off and computed again: to the same bits,
//! because a step is a function of the settings and its number.

use super::checkpoint::checkpoints;
use super::files::{LOG, METRICS, SUMMARY};
use super::metrics::{self, Line};
use super::read::MAX_METRICS_BYTES;
use crate::error::{Blame, Result, refuse};
use serde_json::Value;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;
use zograd_trainer::trajectory::{Header, Record, Trajectory, TrajectoryWriter};
use zograd_trainer::{EvalRecord, StepRecord, TrainState};

/// The largest sum that is resumed from: no run of any length counts so far.
const MAX_SUM: u64 = 1 << 60;

/// The whole steps of an interrupted run.
#[derive(Debug)]
pub struct Interrupted {
    folder: PathBuf,
    log: Trajectory,
    /// Metrics of the whole steps.
    pub steps: Vec<StepRecord>,
    /// Evaluations among them.
    pub evals: Vec<EvalRecord>,
    /// Length of the metrics up to there.
    pub metrics_bytes: u64,
}

impl Interrupted {
    /// Reads the folder of a run. Changes nothing.
    ///
    /// # Errors
    /// A folder without a run, a run that is finished, a log whose header is damaged.
    pub fn read(folder: &Path, evaluates: bool) -> Result<Self> {
        let named = || format!("`resume = {}`", folder.display());
        check_unfinished(folder)?;
        let log = Trajectory::read(&folder.join(LOG)).about(named())?;
        let metrics = match zograd_files::read(&folder.join(METRICS), MAX_METRICS_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e).about(METRICS).about(named()),
        };
        let mut run = Self {
            folder: folder.to_owned(),
            log,
            steps: Vec::new(),
            evals: Vec::new(),
            metrics_bytes: 0,
        };
        run.read_metrics(&metrics, evaluates);
        Ok(run)
    }

    /// Takes up the lines of the whole steps.
    fn read_metrics(&mut self, bytes: &[u8], evaluates: bool) {
        let config = self.log.header.config.clone();
        let mut lines = metrics::lines(bytes);
        while let Some((Line::Step(mut step), bytes)) = lines.next() {
            let number = self.steps.len() as u64 + 1;
            let Some(record) = self.log.records.get(self.steps.len()) else {
                return;
            };
            if step.step != number || !follows(&step, self.steps.last(), record) {
                return;
            }
            (step.update, step.weight_decay) = (record.update.clone(), record.weight_decay);
            let mut whole = bytes;
            if evaluates && config.evaluates_after(number) {
                match lines.next() {
                    Some((Line::Eval(eval), bytes)) if eval.step == number => {
                        self.evals.push(eval);
                        whole += bytes;
                    }
                    _ => return,
                }
            }
            self.steps.push(step);
            self.metrics_bytes += whole;
        }
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The run's header.
    pub fn header(&self) -> &Header {
        &self.log.header
    }

    /// The records of the whole steps.
    pub fn records(&self) -> &[Record] {
        &self.log.records[..self.steps.len()]
    }

    /// What the whole steps add up to.
    pub fn state(&self) -> TrainState {
        TrainState::after(&self.steps, &self.evals)
    }

    /// The log, cut behind the whole steps, to be appended to.
    ///
    /// # Errors
    /// It cannot be opened or cut.
    pub fn writer(&self) -> Result<TrajectoryWriter> {
        let end = self.log.ends[self.steps.len()];
        let header = self.log.header.clone();
        TrajectoryWriter::resume(&self.folder.join(LOG), header, end).while_running()
    }

    /// The newest checkpoint that is not ahead of the whole steps, with its step.
    pub fn checkpoint(&self) -> Option<(u64, PathBuf)> {
        let mut found = checkpoints(&self.folder);
        found.retain(|(step, _)| *step <= self.steps.len() as u64);
        found.into_iter().max()
    }
}

/// Refuses a run that is finished.
///
/// # Errors
/// It is, or its summary cannot be read.
pub fn check_unfinished(folder: &Path) -> Result<()> {
    let path = folder.join(SUMMARY);
    if !path.exists() {
        return Ok(());
    }
    let named = || format!("`resume = {}`", folder.display());
    let text = zograd_files::read_text(&path, MAX_SMALL_BYTES)
        .about(SUMMARY)
        .about(named())?;
    let summary: Value = serde_json::from_str(&text).unwrap_or_default();
    if summary["stop"] != "interrupted" {
        refuse!("{}: the run is finished; its weights are in best/", named());
    }
    Ok(())
}

/// Whether a line of the metrics can be what the step of this record wrote after the line before it. The log
/// has a checksum and the metrics have none; the run is resumed from them, so that a number that was damaged would
/// stay in the sums of the rest of the run.
fn follows(step: &StepRecord, before: Option<&StepRecord>, record: &Record) -> bool {
    let same = |a: f64, b: f64| a == b || (!a.is_finite() && !b.is_finite());
    let (forwards, tokens, passes, seconds) = before.map_or((0, 0, 0, 0.0), |b| {
        (b.forwards, b.tokens, b.passes, b.seconds)
    });
    let sums = [(tokens, step.tokens), (passes, step.passes)];
    step.forwards == forwards + record.losses.len() as u64
        && sums.iter().all(|(old, new)| old <= new && *new <= MAX_SUM)
        && seconds <= step.seconds
        && step.seconds.is_finite()
        && step.losses.len() == record.losses.len()
        && step
            .losses
            .iter()
            .zip(&record.losses)
            .all(|(a, b)| same(*a, *b))
        && step.lr == record.lr
        && step.skipped == record.skipped
}
