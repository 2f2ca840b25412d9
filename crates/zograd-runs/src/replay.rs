//! The weights of a run from its log, without a forward pass.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Result, refuse};
use crate::folder::{RunFolder, as_promised, check_base, check_noise, note_tail};
use crate::inputs::{self, Sources};
use crate::settings::{Inputs, Machine};
use crate::threads::with_threads;
use crate::train::{start_folder, tuned_by, without_adapter};
use crate::watch::Watch;
use serde::Serialize;
use std::path::{Path, PathBuf};
use zograd_models::{BaseNote, content_hash};
use zograd_perturb::Arithmetic;
use zograd_select::Methods;
use zograd_trainer::trajectory::{Header, Record, Trajectory, Walk, replay};

/// Which log to replay, over which weights.
///
/// ```no_run
/// use zograd_runs::{Quiet, Replay, Runs};
///
/// let replay = Replay::new("runs/toy-gv/trajectory.zog", "tuned");
/// let rebuilt = Runs::new().replay(&replay, &mut Quiet)?;
/// println!("{} steps, weights {}", rebuilt.steps, rebuilt.weights);
/// # Ok::<(), zograd_runs::RunError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replay {
    /// The log.
    pub log: PathBuf,
    /// The folder for the tuned model, which must not exist yet.
    pub out: PathBuf,
    /// The step to stop after; the last, if it is not said.
    pub to_step: Option<u64>,
    /// The weights the run started from.
    pub inputs: Inputs,
    /// Where to compute: the bits are those of the run on the backend of the run.
    pub machine: Machine,
}

impl Replay {
    /// Of the whole log, over the built-in model.
    pub fn new(log: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            log: log.into(),
            out: out.into(),
            to_step: None,
            inputs: Inputs::default(),
            machine: Machine::default(),
        }
    }
}

/// What a replay gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Replayed {
    /// Steps that were replayed.
    pub steps: u64,
    /// Content hash of what the run tuned.
    pub weights: String,
    /// Where the tuned model is.
    pub out: PathBuf,
    /// Whether the weights are those that an export beside the log promises; none if it promises nothing.
    pub as_exported: Option<bool>,
}

impl Runs {
    /// Rebuilds a tuned model.
    ///
    /// # Errors
    /// A log that cannot be read or is not this model's, a step it does not have, a folder that is not empty.
    pub fn replay(&self, replay: &Replay, watch: &mut dyn Watch) -> Result<Replayed> {
        let log = Trajectory::read(&replay.log).about("`log`")?;
        note_tail(&log.tail, watch);
        let steps = replay.to_step.unwrap_or(log.records.len() as u64);
        let records = usize::try_from(steps).ok();
        let Some(records) = records.and_then(|steps| log.records.get(..steps)) else {
            refuse!(
                "`to-step = {steps}`: the log has {} steps",
                log.records.len()
            );
        };
        check_noise(&log.header).about(format!("`log = {}`", replay.log.display()))?;
        RunFolder::check(&replay.out)?;
        let inputs = Inputs {
            model: replay.inputs.model.clone(),
            tokenizer: replay.inputs.tokenizer.clone(),
            ..Inputs::default()
        };
        let sources = Sources::find(&inputs, self.tasks())?;
        let machine = Machine {
            dtype: Some(log.header.dtype),
            ..replay.machine.clone()
        }
        .complete()?;
        let job = ReplayJob {
            sources: &sources,
            machine: &machine,
            methods: self.methods(),
            start: &start_folder(replay.log.parent().unwrap_or(Path::new(""))),
            header: &log.header,
            records,
            out: &replay.out,
            watch,
        };
        let weights = with_threads(machine.threads, || dispatch(machine.backend(), job))?;
        Ok(Replayed {
            steps,
            as_exported: as_promised(&replay.log, steps, &weights),
            weights,
            out: replay.out.clone(),
        })
    }
}

struct ReplayJob<'a> {
    sources: &'a Sources,
    machine: &'a Machine,
    methods: &'a Methods,
    /// Where the run may have kept the adapter it began with.
    start: &'a Path,
    header: &'a Header,
    records: &'a [Record],
    out: &'a Path,
    watch: &'a mut dyn Watch,
}

impl Job for ReplayJob<'_> {
    type Output = String;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<String> {
        let header = self.header;
        let storage = self.machine.storage();
        let base = inputs::load::<B>(&self.sources.model, storage, device).about("`model`")?;
        check_base(header, &content_hash(&base))?;
        let model = match &header.adapter {
            Some(start) => start.again(base, self.start).about("`log`")?,
            None => without_adapter(base, tuned_by(&header.selection)),
        };
        let originals = self.out.with_extension("anchor.f32");
        let walk = Walk::from_start(&model, header, originals.clone()).or_input()?;
        let mut model = walk.begin(model).while_running()?;
        let mut strategy = self.methods.build(&header.method).about("`log`")?;
        self.watch.work_begins("replay", self.records.len() as u64);
        let strategy = strategy.as_mut();
        let replayed = replay(&mut model, strategy, header, self.records, |step| {
            self.watch.work_done(step);
        });
        self.watch.work_ends();
        replayed.while_running()?;
        if header.arithmetic == Arithmetic::Anchored {
            std::fs::remove_file(&originals).on_file(&originals)?;
        }
        let model = model.into_module().or_input()?;
        let base = BaseNote {
            model: header.model.clone(),
            weights: header.weights.clone(),
            dtype: header.dtype,
        };
        inputs::keep(&model, &base, Some(&self.sources.tokenizer), self.out)?;
        Ok(inputs::tuned_hash(&model))
    }
}
