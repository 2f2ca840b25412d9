//! Writes what happens into the run folder, and tells whoever looks on.

use crate::backend::RunBackend;
use crate::error::{Blame, Result};
use crate::folder::{
    ANCHOR, Interrupted, RunFolder, Summary, checkpoint_folder, checkpoints, seal,
};
use crate::inputs::{Questions, Sources, keep, load, score, tuned_hash};
use crate::settings::Settings;
use crate::watch::{RunNote, Watch};
use std::collections::BTreeSet;
use std::path::PathBuf;
use zograd_models::{BaseNote, Opt};
use zograd_trainer::trajectory::{Record, TrajectoryWriter};
use zograd_trainer::{
    EvalRecord, Evaluation, Event, Observer, StepRecord, StopReason, TrainError, TrainSummary,
};

/// Writes what happens into the run folder, and tells whoever looks on.
pub(super) struct Recorder<'a> {
    pub(super) folder: RunFolder,
    /// What the run is resumed and replayed from; gradient methods have none.
    log: Option<TrajectoryWriter>,
    /// What an adapter belongs to.
    base: BaseNote,
    tokenizer: PathBuf,
    title: String,
    pub(super) watch: &'a mut dyn Watch,
    /// Kinds of events that were told.
    told: BTreeSet<Event>,
    last_event: Option<Event>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        folder: RunFolder,
        log: Option<TrajectoryWriter>,
        base: BaseNote,
        sources: &Sources,
        watch: &'a mut dyn Watch,
    ) -> Self {
        Self {
            folder,
            log,
            base,
            tokenizer: sources.tokenizer.clone(),
            title: format!("{} on {}", sources.model_name, sources.task_name),
            watch,
            told: BTreeSet::new(),
            last_event: None,
        }
    }

    /// Training begins, or is resumed behind the whole steps of a run.
    pub(super) fn begin(&mut self, steps: u64, interrupted: Option<&Interrupted>) {
        let (done, evals) = interrupted.map_or((&[][..], &[][..]), |run| {
            (run.steps.as_slice(), run.evals.as_slice())
        });
        self.told.extend(done.iter().filter_map(|step| step.event));
        self.last_event = done.last().and_then(|step| step.event);
        self.watch.training_begins(&RunNote {
            folder: self.folder.path(),
            title: &self.title,
            steps,
            done,
            evals,
        });
    }

    /// Writes the summary, after all that it sums up is on the disk.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn summarise(&mut self, summary: &Summary) -> Result<()> {
        if let Some(log) = &mut self.log {
            log.sync().while_running()?;
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
            event.advice(),
        );
        self.watch.note(&line);
    }

    /// Keeps the weights, so that a resumed run need not walk all the way from the start. A
    /// failure is told and survived: the checkpoint before is still there, and the log is enough.
    pub(super) fn checkpoint<B: RunBackend>(&mut self, model: &Opt<B>, step: u64) {
        let Some(log) = &mut self.log else {
            return;
        };
        let folder = checkpoint_folder(self.folder.path(), step);
        let partial = self.folder.path().join("checkpoint.partial");
        let save = || -> Result<()> {
            if partial.exists() {
                std::fs::remove_dir_all(&partial).on_file(&partial)?;
            }
            keep(model, &self.base, None, &partial)?;
            let anchor = self.folder.anchor();
            if anchor.exists() {
                // the file is replaced, never written into, so a second name keeps it as it is now
                let copy = partial.join(ANCHOR);
                std::fs::hard_link(&anchor, &copy)
                    .or_else(|_| std::fs::copy(&anchor, &copy).map(|_| ()))
                    .on_file(&copy)?;
            }
            seal(&partial, &tuned_hash(model))?;
            if !folder.exists() {
                std::fs::rename(&partial, &folder).on_file(&folder)?;
                zograd_files::sync_folder(self.folder.path()).on_file(self.folder.path())?;
            }
            Ok(())
        };
        let synced = log.sync().while_running();
        match synced.and_then(|()| save()) {
            Ok(()) => self.remove_checkpoints(Some(step)),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&partial);
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
    }

    /// Removes all checkpoints but one.
    fn remove_checkpoints(&self, but: Option<u64>) {
        for (step, folder) in checkpoints(self.folder.path()) {
            if Some(step) != but {
                // one that stays costs space only
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }

    fn save<B: RunBackend>(&self, model: &Opt<B>) -> Result<()> {
        let tokenizer = Some(self.tokenizer.as_path());
        keep(model, &self.base, tokenizer, &self.folder.best())
    }

    /// The test score of the best weights, which are the last ones or lie in `best/`.
    pub(super) fn test_best<B: RunBackend>(
        &mut self,
        model: Opt<B>,
        summary: &TrainSummary,
        questions: Questions<'_>,
        settings: &Settings,
        device: &B::Device,
    ) -> Result<Evaluation> {
        let best = self.folder.best();
        let model = match &summary.best {
            Some(record) if record.step != summary.steps && model.adapter().is_some() => model
                .without_adapter()
                .with_adapter_from(&best)
                .about_file(&best)?,
            Some(record) if record.step != summary.steps => {
                // one model in memory at a time
                drop(model);
                load::<B>(&best, settings.machine.storage(), device).about_file(&best)?
            }
            Some(_) => model,
            None => {
                self.save(&model)?;
                model
            }
        };
        score(&model, questions, "after", self.watch)
    }
}

impl<B: RunBackend> Observer<Opt<B>> for Recorder<'_> {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        if let Some(log) = &mut self.log {
            log.append(&Record::from(record))
                .while_running()
                .map_err(observer_error)?;
        }
        self.folder.record("step", record).map_err(observer_error)?;
        self.warn(record);
        self.last_event = record.event;
        self.watch.on_step(record);
        Ok(())
    }

    fn on_eval(&mut self, record: &EvalRecord, model: &Opt<B>) -> Result<(), TrainError> {
        // before the metrics say so: a resumed run believes them
        if record.best {
            self.save(model).map_err(observer_error)?;
        }
        self.folder.record("eval", record).map_err(observer_error)?;
        self.watch.on_eval(record);
        self.checkpoint(model, record.step);
        Ok(())
    }

    fn on_end(&mut self, summary: &TrainSummary, model: &Opt<B>) -> Result<(), TrainError> {
        self.finish().map_err(observer_error)?;
        if summary.stop == StopReason::Interrupted {
            self.checkpoint(model, summary.steps);
        }
        Ok(())
    }
}

fn observer_error(error: crate::RunError) -> TrainError {
    TrainError::Observer(error.into())
}
