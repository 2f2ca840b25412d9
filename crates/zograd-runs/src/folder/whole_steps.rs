//! Where an interrupted run can be resumed: what its folder holds that belongs together.
//!
//! A step is whole when the log and the metrics both have it, and the evaluation that was due after it is in
//! the metrics too. Everything behind the last whole step is cut off and computed again: to the same bits,
//! because a step is a function of the settings and its number. The evaluation of the untuned model, in front of the
//! first step, belongs to that.
//!
//! A finished run is one that is interrupted before the steps that it is to have more.

use super::checkpoint::checkpoints;
use super::environment::Environment;
use super::files::{LOG, METRICS, SEALS, SUMMARY};
use super::metrics::{self, Line};
use super::origin::Origin;
use super::read::MAX_METRICS_BYTES;
use crate::error::{Blame, Result, refuse};
use serde_json::Value;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;
use zograd_trainer::trajectory::{Header, Record, Trajectory, TrajectoryWriter};
use zograd_trainer::{BestBy, EvalRecord, Spent, StepRecord, TrainState};

/// The largest sum that is resumed from: no run of any length counts so far.
const MAX_SUM: u64 = 1 << 60;

/// What makes a run longer than it was begun.
#[derive(Clone, Debug)]
pub struct Longer {
    /// Steps that it is to have in all.
    pub steps: u64,
    /// Its `config.toml` with this number.
    pub config: String,
}

/// The whole steps of an interrupted run.
#[derive(Debug)]
pub struct Interrupted {
    folder: PathBuf,
    origin: Origin,
    log: Trajectory,
    /// Metrics of the whole steps.
    pub steps: Vec<StepRecord>,
    /// Evaluations among them.
    pub evals: Vec<EvalRecord>,
    /// What the folder of the best weights held when they were saved.
    pub best_hash: Option<String>,
    /// Length of the metrics up to there.
    pub metrics_bytes: u64,
    longer: Option<Longer>,
}

impl Interrupted {
    /// Reads the folder of a run that is to be resumed, or made longer. Changes nothing.
    ///
    /// # Errors
    /// A folder without a run, a run that is finished and is not to be longer, a log whose header is damaged, settings
    /// that were changed.
    pub fn read(folder: &Path, evaluates: bool, longer: Option<Longer>) -> Result<Self> {
        let named = || format!("`resume = {}`", folder.display());
        check_unfinished(folder, longer.is_some())?;
        let mut log = Trajectory::read(&folder.join(LOG)).about(named())?;
        let end = log.header.config.steps;
        if let Some(longer) = &longer {
            log.header.config.steps = longer.steps;
        }
        let origin = Origin::read(folder).about(named())?;
        // what it ran on before is kept, so it is refused here and not when the model is there
        Environment::all(folder).about(named())?;
        let read = |file| match zograd_files::read(&folder.join(file), MAX_METRICS_BYTES) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.about(file).about(named()),
        };
        let (metrics, seals) = (read(METRICS)?, read(SEALS)?);
        // an empty one seals nothing: so it is before the first line is whole
        if !zograd_files::exists(&folder.join(SEALS)) && !metrics.is_empty() {
            refuse!(
                "{}: {SEALS} is gone, which says that {METRICS} is as it was written; put it back, or remove both to \
                 make all steps again",
                named()
            );
        }
        let mut run = Self {
            folder: folder.to_owned(),
            origin,
            log,
            steps: Vec::new(),
            evals: Vec::new(),
            best_hash: None,
            metrics_bytes: 0,
            longer,
        };
        // without answers where it is not the last, with them where it is
        let evaluated_otherwise =
            run.longer.is_some() && run.log.header.config.best_by == BestBy::Loss;
        let again = evaluated_otherwise.then_some(end);
        run.read_metrics(metrics::sealed_lines(&metrics, &seals), evaluates, again);
        if run.steps.is_empty() {
            (run.evals, run.best_hash, run.metrics_bytes) = (Vec::new(), None, 0);
        }
        Ok(run)
    }

    /// Takes up the lines of the whole steps, up to the step that is to be made `again`.
    fn read_metrics(
        &mut self,
        mut lines: impl Iterator<Item = (Line, u64)>,
        evaluates: bool,
        again: Option<u64>,
    ) {
        let config = self.log.header.config.clone();
        if evaluates {
            match lines.next() {
                Some((Line::Eval(untuned), bytes)) if untuned.record.step == 0 => {
                    self.best_hash = untuned.best_hash;
                    self.evals.push(untuned.record);
                    self.metrics_bytes += bytes;
                }
                _ => return,
            }
        }
        while let Some((Line::Step(mut step), bytes)) = lines.next() {
            let number = self.steps.len() as u64 + 1;
            let (forwards, tokens) = self.log.header.paid_before();
            let paid = Sums {
                forwards,
                tokens,
                ..Sums::default()
            };
            let before = self.steps.last().map_or(paid, Sums::of);
            let Some(record) = self.log.records.get(self.steps.len()) else {
                return;
            };
            if step.step != number
                || again == Some(number)
                || !follows(&step, before, record, config.batch_size)
            {
                return;
            }
            (step.update, step.weight_decay) = (record.update.clone(), record.weight_decay);
            let mut whole = bytes;
            let before = self.steps.last().map(Spent::with).unwrap_or_default();
            if evaluates && config.evaluates_with(number, before, Spent::with(&step)) {
                match lines.next() {
                    Some((Line::Eval(eval), bytes)) if eval.record.step == number => {
                        if eval.record.best {
                            self.best_hash = eval.best_hash;
                        }
                        self.evals.push(eval.record);
                        whole += bytes;
                    }
                    _ => return,
                }
            }
            self.steps.push(step);
            self.metrics_bytes += whole;
        }
    }

    /// Lines of the metrics up to the last whole step.
    pub fn metrics_lines(&self) -> u64 {
        (self.steps.len() + self.evals.len()) as u64
    }

    /// Steps that the log has and that are made again all the same.
    pub fn left_out(&self) -> usize {
        self.log.records.len() - self.steps.len()
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it was made of.
    pub fn origin(&self) -> &Origin {
        &self.origin
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

    /// Makes the files say that the run is longer, if it is to be. A kill in between leaves a run that can be made
    /// longer again.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn lengthen(&self) -> Result<()> {
        let Some(Longer { config, .. }) = &self.longer else {
            return Ok(());
        };
        Origin::lengthen(&self.folder, config, || {
            let log = self.folder.join(LOG);
            zograd_files::replace(&log, |partial| {
                let header = self.log.header.clone();
                let mut writer =
                    TrajectoryWriter::create(partial, header).map_err(std::io::Error::other)?;
                for record in self.records() {
                    writer.append(record).map_err(std::io::Error::other)?;
                }
                Ok(())
            })
            .on_file(&log)
        })
    }

    /// The bytes of the log up to the end of the whole steps.
    ///
    /// # Errors
    /// It cannot be read again.
    pub fn log_bytes(&self) -> Result<Vec<u8>> {
        let path = self.folder.join(LOG);
        let mut bytes = zograd_files::read(&path, MAX_METRICS_BYTES).on_file(&path)?;
        bytes.truncate(self.log.ends[self.steps.len()] as usize);
        Ok(bytes)
    }

    /// The log, cut behind the whole steps, to be appended to.
    ///
    /// # Errors
    /// It cannot be opened or cut.
    pub fn writer(&self) -> Result<TrajectoryWriter> {
        let log = self.folder.join(LOG);
        let header = self.log.header.clone();
        let end = match self.longer {
            // written anew, up to there
            Some(_) => std::fs::metadata(&log).on_file(&log)?.len(),
            None => self.log.ends[self.steps.len()],
        };
        TrajectoryWriter::resume(&log, header, end).while_running()
    }

    /// The newest checkpoint that is not ahead of the whole steps, with its step.
    pub fn checkpoint(&self) -> Option<(u64, PathBuf)> {
        let mut found = checkpoints(&self.folder);
        found.retain(|(step, _)| *step <= self.steps.len() as u64);
        found.into_iter().max()
    }
}

/// Refuses a run that is finished, unless it is to be `longer` than it is.
///
/// # Errors
/// It is, a guard stopped it, or its summary cannot be read.
pub fn check_unfinished(folder: &Path, longer: bool) -> Result<()> {
    let path = folder.join(SUMMARY);
    if !path.exists() {
        return Ok(());
    }
    let named = || format!("`resume = {}`", folder.display());
    let text = zograd_files::read_text(&path, MAX_SMALL_BYTES)
        .about(SUMMARY)
        .about(named())?;
    let summary: Value = serde_json::from_str(&text)
        .about(format!("{SUMMARY} is damaged; remove it to resume"))
        .about(named())?;
    match summary["stop"].as_str() {
        Some("interrupted") => Ok(()),
        Some("guard") => refuse!(
            "{}: a guard stopped the run; begin a new one with other settings (`config`)",
            named()
        ),
        Some("patience") => refuse!(
            "{}: the run was ended by its `patience`; its weights are in best/; begin a new one with a larger number",
            named()
        ),
        Some("budget") => refuse!(
            "{}: the run has spent its `tokens` or `seconds`; its weights are in best/; begin a new one with more",
            named()
        ),
        Some("finished") if longer => Ok(()),
        _ => refuse!(
            "{}: the run is finished, as {SUMMARY} says; its weights are in best/{}",
            named(),
            match folder.join(LOG).exists() {
                true =>
                    "; a larger number of `steps` makes it longer, if its learning rate is constant",
                false => "",
            }
        ),
    }
}

/// What the steps of a run add up to, and what was paid before them.
#[derive(Clone, Copy, Default)]
struct Sums {
    forwards: u64,
    tokens: u64,
    passes: u64,
    seconds: f64,
}

impl Sums {
    fn of(step: &StepRecord) -> Self {
        Self {
            forwards: step.forwards,
            tokens: step.tokens,
            passes: step.passes,
            seconds: step.seconds,
        }
    }
}

/// Whether a line of the metrics can be what the step of this record wrote after the line before it. The log
/// has a checksum and the metrics have none; the run is resumed from them, so that a number that was damaged would
/// stay in the sums of the rest of the run.
fn follows(step: &StepRecord, before: Sums, record: &Record, batch_size: usize) -> bool {
    let same = |a: f64, b: f64| a == b || (!a.is_finite() && !b.is_finite());
    let sums = [(before.tokens, step.tokens), (before.passes, step.passes)];
    // where a method asks for losses of single examples, as many of them as a batch has are a forward
    let losses = record.losses.len();
    let batches = losses.checked_div(batch_size).unwrap_or(losses);
    let whole = batches * batch_size == losses && step.forwards == before.forwards + batches as u64;
    (whole || step.forwards == before.forwards + losses as u64)
        && sums.iter().all(|(old, new)| old <= new && *new <= MAX_SUM)
        && before.seconds <= step.seconds
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
