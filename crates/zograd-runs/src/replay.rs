//! The weights of a run from its log, without a forward pass.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Result, refuse};
use crate::folder::{
    BEST, OptionBiases, TaskNote, Unfinished, check_noise, check_replays, note_tail,
};
use crate::inputs::{self, ModelSource};
use crate::promise::Promise;
use crate::settings::{Inputs, Machine, Storage};
use crate::threads::with_threads;
use crate::train::{Rebuild, shifted, start_folder};
use crate::watch::Watch;
use crate::words::count;
use serde::Serialize;
use std::path::{Path, PathBuf};
use zograd_models::BaseNote;
use zograd_trainer::trajectory::Trajectory;

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
    /// To stop after the step whose weights were the best, as `summary.json` beside the log says.
    pub best: bool,
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
            best: false,
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
    /// Whether the weights are those that a file beside the log promises ([`Promise`]); none if it says nothing of them.
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
        let named = || format!("`log = {}`", replay.log.display());
        let promise = Promise::beside(&replay.log)?;
        let last = log.records.len() as u64;
        let steps = match (replay.to_step, replay.best) {
            (Some(_), true) => refuse!("`to-step` and `best`: give one of them"),
            (Some(step), false) => step,
            (None, true) => best_step(promise.as_ref()).about(named())?,
            (None, false) => {
                if let Some(promise) = &promise {
                    promise.check_length(last).about(named())?;
                }
                last
            }
        };
        let records = usize::try_from(steps).ok();
        let Some(records) = records.and_then(|steps| log.records.get(..steps)) else {
            refuse!("`to-step = {steps}`: the log has {}", count(last, "step"));
        };
        check_replays(&log.header).about(named())?;
        check_noise(&log.header).about(named())?;
        Unfinished::check(&replay.out)?;
        let inputs = Inputs {
            model: replay.inputs.model.clone(),
            tokenizer: replay.inputs.tokenizer.clone(),
            ..Inputs::default()
        };
        let source = ModelSource::find(&inputs, watch)?;
        let machine = Machine {
            dtype: Some(log.header.dtype),
            ..replay.machine.clone()
        };
        if let (false, Err(_)) = (
            log.header.dtype == Storage::F32,
            Machine::new(machine.backend(), log.header.dtype).complete(),
        ) {
            refuse!(
                "{}: the run had weights of {}, which the backend {} cannot store; use `backend = flex`, or cuda",
                named(),
                log.header.dtype,
                machine.backend()
            );
        }
        let machine = machine.complete()?;
        let begun = Unfinished::begin(&replay.out)?;
        let beside = replay.log.parent().unwrap_or(Path::new(""));
        let note = match beside.join(BEST) {
            best if best.is_dir() => best,
            _ => beside.to_owned(),
        };
        let job = ReplayJob {
            rebuild: Rebuild {
                model: &source.folder,
                storage: machine.storage(),
                methods: self.methods(),
                start: &start_folder(replay.log.parent().unwrap_or(Path::new(""))),
                header: &log.header,
                records,
                originals: replay.out.with_added_extension("anchor.f32"),
            },
            logit_shift: promise
                .as_ref()
                .map_or(&[], |p| p.logit_shift(steps, replay.best)),
            tokenizer: &source.tokenizer,
            out: begun.path(),
            note: &note,
            are_best: promise
                .as_ref()
                .is_some_and(|p| p.leads_to_best(steps, replay.best)),
            watch: &mut *watch,
        };
        note_end(replay, &log, promise.as_ref(), job.watch);
        let backend = machine.backend();
        let weights = with_threads(machine.threads, || dispatch(&machine, job))?;
        begun.finish()?;
        let kept = |promise: &Promise| promise.kept((steps, replay.best), &weights, backend);
        let as_exported = promise.as_ref().and_then(kept);
        if let (true, None, Some(promise)) = (replay.best, as_exported, &promise) {
            watch.note(&format!(
                "note: the weights are not compared with those of the run: {}",
                promise.silence(backend)
            ));
        }
        Ok(Replayed {
            steps,
            as_exported,
            weights,
            out: replay.out.clone(),
        })
    }
}

/// The step of the best weights.
fn best_step(promise: Option<&Promise>) -> Result<u64> {
    match promise.map(|promise| (promise.file, promise.best_step, promise.steps)) {
        Some((_, Some(step), _)) => Ok(step),
        // an export ends with its best step, and a run without evaluations keeps its last weights
        Some((_, None, last)) => Ok(last),
        None => refuse!("`best`: no file beside it says which step was the best; give `to-step`"),
    }
}

/// Says what the end of the log is not.
fn note_end(replay: &Replay, log: &Trajectory, promise: Option<&Promise>, watch: &mut dyn Watch) {
    if replay.best || replay.to_step.is_some() {
        return;
    }
    let (steps, due) = (log.records.len() as u64, log.header.config.steps);
    match promise {
        None if log.header.config.limit.is_some() => watch.note(&format!(
            "note: {}; no file beside the log says whether there are more",
            count(steps, "step")
        )),
        None if steps < due => watch.note(&format!(
            "note: {steps} of the run's {}; no file beside the log says whether there are more",
            count(due, "step")
        )),
        Some(promise) => {
            if let Some(best) = promise.best_step.filter(|best| *best != steps) {
                let whose = match best {
                    0 => "of the untuned model, step 0".into(),
                    step => format!("those of step {step}"),
                };
                watch.note(&format!(
                    "note: these are the last weights; the best were {whose} (`best`)"
                ));
            }
        }
        None => {}
    }
}

struct ReplayJob<'a> {
    rebuild: Rebuild<'a>,
    /// What the best weights have beside what the log makes.
    logit_shift: &'a [(u32, f64)],
    tokenizer: &'a Path,
    out: &'a Path,
    /// The folder that says what the weights were tuned for, if one does.
    note: &'a Path,
    /// Whether the weights are those that this folder has biases of options for, if it has.
    are_best: bool,
    watch: &'a mut dyn Watch,
}

impl Job for ReplayJob<'_> {
    type Output = String;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<String> {
        let header = self.rebuild.header;
        let mut model = self.rebuild.run::<B>(device, self.watch)?;
        if !self.logit_shift.is_empty() {
            let Some(moved) = shifted(&model, self.logit_shift) else {
                refuse!("the model has no place for the biases of the options");
            };
            model = moved;
        }
        let base = BaseNote {
            model: header.model.clone(),
            weights: header.weights.clone(),
            dtype: header.dtype,
        };
        inputs::keep(&model, &base, Some(self.tokenizer), self.out)?;
        TaskNote::carry(self.note, self.out)?;
        if self.are_best {
            OptionBiases::carry(self.note, self.out)?;
        }
        Ok(inputs::tuned_hash(&model))
    }
}
