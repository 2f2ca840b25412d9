//! What the first rank hands to the others of a run that is resumed: its folder is on one machine.

use super::start::{Resumed, start_folder};
use crate::error::{Blame, Result, refuse};
use crate::folder::Interrupted;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zograd_ranks::{Incoming, Outgoing, RankError, Ranks};
use zograd_trainer::trajectory::{Header, Record, Trajectory};
use zograd_trainer::{EvalRecord, StepRecord, TrainState};

/// The largest file of an adapter that is handed over.
const MAX_START_BYTES: u64 = 1 << 30;

/// The whole steps of a run that another rank has the folder of: settings, log and metrics, from which this one finds its
/// weights and its place.
pub(crate) struct Handed {
    /// The settings as TOML.
    pub(crate) config: String,
    pub(super) header: Header,
    pub(super) records: Vec<Record>,
    pub(super) state: TrainState,
    /// A folder that has the adapter the run began with, if the first rank kept it.
    kept: TempDir,
}

/// What is told in JSON.
#[derive(Serialize, Deserialize)]
struct Told {
    config: String,
    header: Header,
    steps: Vec<StepRecord>,
    evals: Vec<EvalRecord>,
}

impl Handed {
    /// Hands over what is resumed here.
    ///
    /// # Errors
    /// A file of the run cannot be read, or a rank is gone.
    pub(crate) fn over(ranks: &Ranks, config: String, run: &Interrupted) -> Result<()> {
        let told = Told {
            config,
            header: run.header().clone(),
            steps: run.steps.clone(),
            evals: run.evals.clone(),
        };
        let mut sent = Outgoing::new();
        sent.bytes(&serde_json::to_vec(&told).while_running()?);
        sent.bytes(&run.log_bytes()?);
        let start = start_folder(run.folder());
        let entries = std::fs::read_dir(&start).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            sent.text(Some(&name));
            sent.bytes(&zograd_files::read(&path, MAX_START_BYTES).on_file(&path)?);
        }
        ranks.gather(sent.as_bytes())?;
        Ok(())
    }

    /// Takes what the first rank hands over.
    ///
    /// # Errors
    /// It is gone, or what it gave cannot be read or written here.
    pub(crate) fn taken(ranks: &Ranks) -> Result<Self> {
        let all = ranks.gather(&[])?;
        let first = all.first().map_or(&[][..], Vec::as_slice);
        let mut from = Incoming::of(0, first);
        let unreadable = |what| RankError::Unreadable { rank: 0, what };
        let Told {
            config,
            header,
            mut steps,
            evals,
        } = serde_json::from_slice(from.bytes("metrics")?).map_err(|_| unreadable("metrics"))?;
        let log = Trajectory::parse(from.bytes("a log")?, Path::new("rank 0")).while_running()?;
        if log.records.len() != steps.len() {
            refuse!("rank 0 has other metrics than its log");
        }
        for (step, record) in steps.iter_mut().zip(&log.records) {
            (step.update, step.weight_decay) = (record.update.clone(), record.weight_decay);
        }
        let kept = TempDir::new().while_running()?;
        while !from.is_empty() {
            let name = from.text("a name")?.unwrap_or_default();
            let bytes = from.bytes("a file")?;
            // a name alone, whatever it says
            let name = Path::new(&name).file_name().unwrap_or_default();
            let folder = start_folder(kept.path());
            zograd_files::make_folder(&folder).on_file(&folder)?;
            let path = folder.join(name);
            zograd_files::write(&path, bytes).on_file(&path)?;
        }
        Ok(Self {
            config,
            header,
            records: log.records,
            state: TrainState::after(&steps, &evals),
            kept,
        })
    }

    /// Where the adapter is that the run began with, if the first rank kept it.
    pub(super) fn start(&self) -> PathBuf {
        start_folder(self.kept.path())
    }

    /// The run that goes on, which was named so.
    pub(super) fn resumed<'a>(&'a self, run: &'a Path) -> Resumed<'a> {
        Resumed {
            header: &self.header,
            run,
            start: self.start(),
        }
    }
}
