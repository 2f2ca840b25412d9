//! Where an interrupted run can be gone on with: what its folder holds that belongs together.
//!
//! A step is whole when the log and the metrics both have it, and the evaluation that was due after it is in
//! the metrics too. Everything behind the last whole step is cut off and computed again: to the same bits,
//! because a step is a function of the settings and its number.

use crate::run_folder::{ANCHOR, LOG};
use crate::runs::metrics::{self, Line};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;
use zograd_trainer::trajectory::{Record, Trajectory, TrajectoryWriter};
use zograd_trainer::{EvalRecord, StepRecord, TrainSummary};

/// Prefix of the folders that hold the weights after some step.
const CHECKPOINT: &str = "checkpoint-";

/// The largest metrics that are read: some ten million steps.
const MAX_METRICS_BYTES: u64 = 4 << 30;

/// The largest sum that can be gone on from: no run of any length counts so far.
const MAX_SUM: u64 = 1 << 60;

/// The whole steps of an interrupted run.
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
        let named = || format!("--resume {}", folder.display());
        check_unfinished(folder)?;
        let log = Trajectory::read(&folder.join(LOG)).with_context(named)?;
        let metrics = match zograd_files::read(&folder.join("metrics.jsonl"), MAX_METRICS_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e).with_context(|| format!("{}/metrics.jsonl", named())),
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
    pub fn header(&self) -> &zograd_trainer::trajectory::Header {
        &self.log.header
    }

    /// The records of the whole steps.
    pub fn records(&self) -> &[Record] {
        &self.log.records[..self.steps.len()]
    }

    /// What the whole steps add up to.
    pub fn summary(&self) -> TrainSummary {
        TrainSummary::after(&self.steps, &self.evals)
    }

    /// The log, cut behind the whole steps, to be gone on with.
    ///
    /// # Errors
    /// It cannot be opened or cut.
    pub fn writer(&self) -> Result<TrajectoryWriter> {
        let end = self.log.ends[self.steps.len()];
        let header = self.log.header.clone();
        Ok(TrajectoryWriter::resume(
            &self.folder.join(LOG),
            header,
            end,
        )?)
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
    let path = folder.join("summary.json");
    if !path.exists() {
        return Ok(());
    }
    let named = || format!("--resume {}", folder.display());
    let text = zograd_files::read_text(&path, MAX_SMALL_BYTES)
        .with_context(|| format!("{}/summary.json", named()))?;
    let summary: Value = serde_json::from_str(&text).unwrap_or_default();
    if summary["stop"] != "interrupted" {
        bail!("{}: the run is finished; its weights are in best/", named());
    }
    Ok(())
}

/// Whether a line of the metrics can be what the step of this record wrote after the line before it. The log
/// has a checksum and the metrics have none; they are gone on from, so that a number that was damaged would
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

/// Where the weights after `step` steps are kept.
pub fn checkpoint_folder(run: &Path, step: u64) -> PathBuf {
    run.join(format!("{CHECKPOINT}{step}"))
}

/// All complete checkpoints of a run.
pub fn checkpoints(run: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let step = name.to_str()?.strip_prefix(CHECKPOINT)?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect()
}

/// Name of the file in a checkpoint that says which weights it holds.
const SEAL: &str = "weights.hash";

/// Writes into a checkpoint what [`check_seal`] compares: files of numbers have no checksums.
///
/// # Errors
/// A file cannot be read or written.
pub fn seal(checkpoint: &Path, weights: &str) -> Result<()> {
    let path = checkpoint.join(SEAL);
    let sealed = contents(checkpoint, weights)?;
    std::fs::write(&path, sealed)
        .and_then(|()| File::open(&path)?.sync_all())
        .with_context(|| path.display().to_string())
}

/// Refuses a checkpoint whose numbers are not those that were written.
///
/// # Errors
/// Another hash, or none.
pub fn check_seal(checkpoint: &Path, weights: &str) -> Result<()> {
    let sealed = zograd_files::read_text(&checkpoint.join(SEAL), MAX_SMALL_BYTES);
    let found = contents(checkpoint, weights)?;
    if !sealed.is_ok_and(|sealed| sealed == found) {
        bail!(
            "{}: its weights are not those of the run",
            checkpoint.display()
        );
    }
    Ok(())
}

/// The content hash of a checkpoint's weights, and that of the file with their f32 originals if there is one.
fn contents(checkpoint: &Path, weights: &str) -> Result<String> {
    let path = checkpoint.join(ANCHOR);
    if !zograd_files::exists(&path) {
        return Ok(weights.to_owned());
    }
    let hash = || {
        let mut file = zograd_files::open(&path)?;
        let mut hash = Sha256::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => return std::io::Result::Ok(hash.finalize()),
                n => hash.update(&block[..n]),
            }
        }
    };
    let hash = hash().with_context(|| path.display().to_string())?;
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{weights}\n{ANCHOR} sha256:{hex}"))
}
