//! Writes what happens into the run folder, and tells whoever looks on.

use super::option_bias::{Kept, option_tokens, shift_of};
use super::outlook::Outlook;
use super::prepare::Prepared;
use crate::backend::RunBackend;
use crate::error::{Blame, Result, refuse};
use crate::folder::{
    ANCHOR, BEST, CARD, Interrupted, OptionBiases, RunFolder, Summary, TaskNote, card,
    checkpoint_folder, checkpoints, folder_hash, seal,
};
use crate::inputs::{keep, load_own, tuned_hash, with_own_adapter};
use crate::settings::Storage;
use crate::watch::{RunNote, Watch};
use crate::words::count;
use serde::Serialize;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use zograd_models::{BaseNote, Model};
use zograd_trainer::trajectory::{Record, TrajectoryWriter};
use zograd_trainer::{
    EvalRecord, Event, Observer, Spent, StepRecord, StopReason, TrainConfig, TrainError,
    TrainSummary,
};

/// Writes what happens into the run folder, and tells whoever looks on.
pub(super) struct Recorder<'a> {
    pub(super) folder: RunFolder,
    /// What the run is resumed and replayed from; gradient methods have none.
    log: Option<TrajectoryWriter>,
    /// What an adapter belongs to.
    base: BaseNote,
    tokenizer: PathBuf,
    /// What the weights are tuned for.
    task: TaskNote,
    task_name: String,
    /// What its options are made of, where each is a token.
    options: Option<Vec<u32>>,
    title: String,
    pub(super) watch: &'a mut dyn Watch,
    /// What `best/` holds, if it was written.
    best: Option<BestFolder>,
    /// The step of the checkpoint that this process wrote last.
    checkpointed: Option<u64>,
    /// When the model is evaluated, if there is anything to evaluate it on.
    evaluates: Option<TrainConfig>,
    /// An evaluation is due after the last step.
    due: bool,
    outlook: Outlook,
    /// What is spent with the last step.
    spent: Spent,
    /// Kinds of events that were told.
    told: BTreeSet<Event>,
    last_event: Option<Event>,
}

/// What `best/` holds.
struct BestFolder {
    hash: String,
    /// The content hash of the weights, if this process wrote them; otherwise one did that was interrupted, and who
    /// knows who since.
    ours: Option<String>,
    /// The step of the weights.
    step: u64,
    /// Whether they are the weights of that step to the bit, without what was folded into them.
    is_plain: bool,
}

/// An evaluation whose weights are the best, as it stands in the metrics.
#[derive(Serialize)]
struct BestLine<'a> {
    #[serde(flatten)]
    record: &'a EvalRecord,
    best_hash: &'a str,
}

impl<'a> Recorder<'a> {
    /// Of a run that keeps so many numbers of its own, and whose steps have so many forward passes, if that is known.
    pub(super) fn new(
        folder: RunFolder,
        log: Option<TrajectoryWriter>,
        base: BaseNote,
        (prepared, numbers, forwards): (&Prepared, u64, Option<u64>),
        watch: &'a mut dyn Watch,
    ) -> Self {
        let sources = &prepared.sources;
        let evaluates = !prepared.data.dev.is_empty();
        let evaluates = evaluates.then(|| prepared.settings.config.clone());
        Self {
            folder,
            log,
            base,
            tokenizer: sources.tokenizer.clone(),
            task: sources.note(&prepared.settings.inputs, prepared.chat_template.as_deref()),
            task_name: sources.task_name.clone(),
            options: option_tokens(&prepared.data.train),
            title: format!("{} on {}", sources.model_name, sources.task_name),
            watch,
            best: None,
            checkpointed: None,
            evaluates,
            due: false,
            outlook: Outlook::new(prepared, numbers, forwards),
            spent: Spent::default(),
            told: BTreeSet::new(),
            last_event: None,
        }
    }

    /// Training begins, or is resumed behind the whole steps of a run.
    pub(super) fn begin(&mut self, config: &TrainConfig, interrupted: Option<&Interrupted>) {
        let (done, evals) = interrupted.map_or((&[][..], &[][..]), |run| {
            (run.steps.as_slice(), run.evals.as_slice())
        });
        if let Some(run) = interrupted {
            remove_halves(self.folder.path());
            // the last step may have been half written down
            if run.left_out() > 1 {
                self.watch.note(&format!(
                    "note: the metrics of the last {} of the log are missing or were changed, which {} made again",
                    count(run.left_out(), "step"),
                    if run.left_out() == 1 { "is" } else { "are" }
                ));
            }
        }
        let hash = interrupted.and_then(|run| run.best_hash.clone());
        let best = evals.iter().rfind(|eval| eval.best);
        self.best = hash.zip(best).map(|(hash, best)| BestFolder {
            hash,
            ours: None,
            step: best.step,
            is_plain: best.option_biases.is_empty(),
        });
        self.told.extend(done.iter().filter_map(|step| step.event));
        self.last_event = done.last().and_then(|step| step.event);
        self.spent = done.last().map(Spent::with).unwrap_or_default();
        self.watch.training_begins(&RunNote {
            folder: self.folder.path(),
            title: &self.title,
            steps: config.steps,
            limit: config.limit,
            done,
            evals,
        });
    }

    /// Writes the summary, after all that it sums up is on the disk, and of a run that has ended the card of its weights.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn summarise(&mut self, summary: &Summary) -> Result<()> {
        if let Some(log) = &mut self.log {
            log.sync().while_running()?;
        }
        if summary.stop != StopReason::Interrupted {
            let path = self.folder.best().join(CARD);
            // it describes the weights, and is none of them
            if let Err(error) = zograd_files::write(&path, card(summary)).on_file(&path) {
                self.watch
                    .note(&format!("note: no card is written: {error}"));
            }
        }
        self.folder.summarise(summary)
    }

    /// Training is over.
    ///
    /// # Errors
    /// Whoever looked on could not write what belongs beside the run.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.watch.training_ends().while_running()
    }

    /// What was not as it should be about the last step.
    pub(super) fn last_event(&self) -> Option<Event> {
        self.last_event
    }

    /// Tells the first event of each kind; all are counted at the end.
    fn warn(&mut self, record: &StepRecord) {
        let Some(event) = record.event else {
            return;
        };
        if !self.told.insert(event) {
            return;
        }
        let line = format!(
            "note: {event} in step {}{}; {}",
            record.step,
            if record.skipped.is_some() {
                ", skipped"
            } else {
                ""
            },
            event.advice(self.base.dtype == Storage::F32),
        );
        self.watch.note(&line);
    }

    /// Keeps the weights, so that a resumed run need not walk all the way from the start. A
    /// failure is told and survived: the checkpoint before is still there, and the log is enough. Weights that lie in
    /// `best/` already are not written a second time.
    fn checkpoint<B: RunBackend>(&mut self, model: &Model<B>, step: u64) {
        let Some(log) = &mut self.log else {
            return;
        };
        // an evaluation and the end of the run may come after the same step; before the first one the weights are where
        // they came from
        if self.checkpointed == Some(step) || step == 0 {
            return;
        }
        let best = self.best.as_ref().filter(|best| best.step == step);
        let known = best
            .filter(|best| best.is_plain)
            .and_then(|best| best.ours.clone());
        let best = self.folder.best();
        let folder = checkpoint_folder(self.folder.path(), step);
        let partial = self.folder.path().join("checkpoint.partial");
        let save = || -> Result<()> {
            zograd_files::remove(&partial).on_file(&partial)?;
            match known {
                Some(_) => link_all(&best, &partial)?,
                None => keep(model, &self.base, None, &partial)?,
            }
            let anchor = self.folder.anchor();
            if anchor.exists() {
                link(&anchor, &partial.join(ANCHOR))?;
            }
            seal(&partial, step, &known.unwrap_or_else(|| tuned_hash(model)))?;
            // of steps that are made again, or not as it was written
            zograd_files::remove(&folder).on_file(&folder)?;
            std::fs::rename(&partial, &folder).on_file(&folder)?;
            zograd_files::sync_folder(self.folder.path()).on_file(self.folder.path())
        };
        let synced = log.sync().while_running();
        match synced.and_then(|()| save()) {
            Ok(()) => {
                self.checkpointed = Some(step);
                self.remove_checkpoints(Some(step));
            }
            Err(error) => {
                let _ = zograd_files::remove(&partial);
                self.watch.note(&format!(
                    "note: no checkpoint after step {step} ({error}); the one before it is kept"
                ));
            }
        }
    }

    /// Removes what is only needed to resume a run.
    pub(super) fn remove_scaffolding(&self) {
        self.remove_checkpoints(None);
        // if it stays it costs space only
        let _ = std::fs::remove_file(self.folder.anchor());
        remove_halves(self.folder.path());
    }

    /// Removes all checkpoints but one.
    fn remove_checkpoints(&self, but: Option<u64>) {
        for (step, folder) in checkpoints(self.folder.path()) {
            if Some(step) != but {
                // one that stays costs space only
                let _ = zograd_files::remove(&folder);
            }
        }
    }

    /// Keeps these weights, those after `step`, as the best, with all that belongs to them, and with the biases of the
    /// options: in the weights if these have a place for them, else beside them.
    fn keep_best<B: RunBackend>(
        &mut self,
        model: &Model<B>,
        step: u64,
        biases: &[f64],
    ) -> Result<(String, Kept<B>)> {
        let (tokenizer, best) = (self.tokenizer.as_path(), self.folder.best());
        let kept = Kept::of(model, self.options.as_deref(), biases);
        zograd_files::make_folder(&best).on_file(&best)?;
        keep(&kept.model, &self.base, Some(tokenizer), &best)?;
        self.task.write(&best)?;
        let biases = OptionBiases {
            task: self.task_name.clone(),
            option_biases: kept.beside.clone(),
        };
        biases.write(&best)?;
        let weights = tuned_hash(&kept.model);
        let hash = folder_hash(&best, &weights).while_running()?;
        self.best = Some(BestFolder {
            hash: hash.clone(),
            ours: Some(weights),
            step,
            is_plain: kept.shift.is_empty(),
        });
        Ok((hash, kept))
    }

    /// Keeps the last weights, if none were evaluated.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn keep_last<B: RunBackend>(
        &mut self,
        model: &Model<B>,
        summary: &TrainSummary,
    ) -> Result<()> {
        match summary.best {
            Some(_) => Ok(()),
            None => self.keep_best(model, summary.steps, &[]).map(drop),
        }
    }

    /// The best weights, which are the last ones or lie in `best/`. Where they do not lie there as they were saved,
    /// they are made `again`, from the log. The last ones come with the biases of the options, if they have such.
    ///
    /// # Errors
    /// They cannot be read, and there is no log to make them again from.
    pub(super) fn best_model<B: RunBackend>(
        &mut self,
        (model, biases): (Model<B>, &[f64]),
        summary: &TrainSummary,
        storage: Storage,
        device: &B::Device,
        again: impl FnOnce(u64, &mut dyn Watch) -> Result<Model<B>>,
    ) -> Result<Kept<B>> {
        let Some(record) = &summary.best else {
            return Ok(self.keep_best(&model, summary.steps, biases)?.1);
        };
        let biases = &record.option_biases;
        if record.step == summary.steps {
            if self.best.as_ref().is_none_or(|best| best.ours.is_none()) {
                return Ok(self.keep_best(&model, record.step, biases)?.1);
            }
            return Ok(Kept::of(&model, self.options.as_deref(), biases));
        }
        match self.saved_best(model, biases, storage, device) {
            Ok(best) => Ok(best),
            Err(error) if self.log.is_none() => Err(error),
            Err(error) => {
                self.watch.note(&format!(
                    "note: {error}; making the weights of step {} again from the log",
                    record.step
                ));
                let model = again(record.step, self.watch)?;
                Ok(self.keep_best(&model, record.step, biases)?.1)
            }
        }
    }

    /// What lies in `best/`, if it is what was put there.
    fn saved_best<B: RunBackend>(
        &self,
        model: Model<B>,
        biases: &[f64],
        storage: Storage,
        device: &B::Device,
    ) -> Result<Kept<B>> {
        let best = self.folder.best();
        let found = match model.adapter() {
            Some(_) => with_own_adapter(model, &best)?,
            None => {
                // one model in memory at a time
                drop(model);
                load_own::<B>(&best, storage, device)?
            }
        };
        let hash = folder_hash(&best, &tuned_hash(&found))?;
        match &self.best {
            Some(saved) if saved.hash == hash => {
                let beside = OptionBiases::of(&best, &self.task_name)?;
                let shift = match beside.is_empty() {
                    true => shift_of(self.options.as_deref(), biases),
                    false => Vec::new(),
                };
                Ok(Kept {
                    model: found,
                    shift,
                    beside,
                })
            }
            _ => refuse!("{}: it is not as it was saved", best.display()),
        }
    }
}

/// Gives all files of a folder a second name in a new one. Files of a run folder are replaced and never written into, so
/// that both stay as they are now.
fn link_all(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to).on_file(to)?;
    for entry in std::fs::read_dir(from).on_file(from)? {
        let entry = entry.on_file(from)?;
        let is_file = entry.file_type().on_file(from)?.is_file();
        if is_file && !is_half(&entry.file_name()) {
            link(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Gives a file a second name, or makes a copy where a file can have but one.
fn link(from: &Path, to: &Path) -> Result<()> {
    std::fs::hard_link(from, to)
        .or_else(|_| std::fs::copy(from, to).map(|_| ()))
        .on_file(to)
}

/// Removes what was being written when a process was killed.
fn remove_halves(run: &Path) {
    let best = run.join(BEST);
    for folder in [run, &best] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| is_half(&entry.file_name())) {
            // one that stays costs space only
            let _ = zograd_files::remove(&entry.path());
        }
    }
}

fn is_half(name: &OsStr) -> bool {
    Path::new(name).extension() == Some(OsStr::new("partial"))
}

impl<B: RunBackend> Observer<Model<B>> for Recorder<'_> {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        if let Some(log) = &mut self.log {
            log.append(&Record::from(record))
                .while_running()
                .map_err(observer_error)?;
        }
        self.folder.record("step", record).map_err(observer_error)?;
        let (before, with) = (self.spent, Spent::with(record));
        let evaluates = self.evaluates.as_ref();
        self.due = evaluates.is_some_and(|config| config.evaluates_with(record.step, before, with));
        self.spent = with;
        self.warn(record);
        self.last_event = record.event;
        self.watch.on_step(record);
        if let Some(line) = self.outlook.on_step(record, self.folder.path()) {
            self.watch.run_expects(&line);
        }
        Ok(())
    }

    fn on_eval(&mut self, record: &EvalRecord, model: &Model<B>) -> Result<(), TrainError> {
        // before the metrics say so: a resumed run believes them
        let recorded = match record.best {
            true => self
                .keep_best(model, record.step, &record.option_biases)
                .and_then(|(hash, _)| {
                    let best_hash = hash.as_str();
                    self.folder.record("eval", &BestLine { record, best_hash })
                }),
            false => self.folder.record("eval", record),
        };
        recorded.map_err(observer_error)?;
        self.due = false;
        self.watch.on_eval(record);
        if let Some(line) = self.outlook.on_eval(record, self.folder.path()) {
            self.watch.run_expects(&line);
        }
        self.checkpoint(model, record.step);
        Ok(())
    }

    fn on_end(&mut self, summary: &TrainSummary, model: &Model<B>) -> Result<(), TrainError> {
        self.finish().map_err(observer_error)?;
        // a step whose evaluation was interrupted is made again: the checkpoint before it is still of use
        if summary.stop == StopReason::Interrupted && !self.due {
            self.checkpoint(model, summary.steps);
        }
        Ok(())
    }
}

fn observer_error(error: crate::RunError) -> TrainError {
    TrainError::Observer(error.into())
}
