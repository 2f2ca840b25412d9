//! Writes what happens into the run folder and shows it.

use super::interrupted::{checkpoint_folder, checkpoints, seal};
use super::report::Report;
use super::settings::Settings;
use crate::backend::TrainBackend;
use crate::commands::adapter;
use crate::commands::eval::{load, score};
use crate::inputs::Sources;
use crate::output::say;
use crate::plot;
use crate::points::Points;
use crate::progress::Progress;
use crate::run_folder::{ANCHOR, RunFolder};
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::PathBuf;
use zograd_models::{BaseNote, Opt};
use zograd_tasks::Prompt;
use zograd_trainer::trajectory::{Record, TrajectoryWriter};
use zograd_trainer::{
    EvalRecord, Evaluation, Event, Observer, Scoring, StepRecord, TrainError, TrainSummary,
};

/// Writes what happens into the run folder and shows it.
pub struct Recorder {
    pub folder: RunFolder,
    /// What the run can be gone on with and replayed from; gradient methods have none.
    pub log: Option<TrajectoryWriter>,
    /// What an adapter belongs to.
    pub base: BaseNote,
    pub tokenizer: PathBuf,
    pub title: String,
    pub progress: Option<Progress>,
    /// Not the steps themselves: a long run must not grow.
    points: Points,
    /// Kinds of events that were told.
    told: BTreeSet<Event>,
    last_event: Option<Event>,
    pub evals: Vec<EvalRecord>,
}

impl Recorder {
    pub fn new(
        folder: RunFolder,
        log: Option<TrajectoryWriter>,
        base: BaseNote,
        sources: &Sources,
        steps: u64,
    ) -> Self {
        Self {
            folder,
            log,
            base,
            tokenizer: sources.tokenizer.clone(),
            title: format!("{} on {}", sources.model_name, sources.task_name),
            progress: Some(Progress::new("train", steps)),
            points: Points::default(),
            told: BTreeSet::new(),
            last_event: None,
            evals: Vec::new(),
        }
    }

    /// Writes the summary, after all that it sums up is on the disk.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn summarise(&mut self, report: &Report) -> Result<()> {
        if let Some(log) = &mut self.log {
            log.sync()?;
        }
        self.folder.summarise(report)
    }

    /// Takes the bar away and draws the curve.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
        plot::loss_curve(
            &self.folder.path().join("loss.svg"),
            &self.title,
            self.points.as_slice(),
            &self.evals,
        )
    }

    /// What was not as it should be about the last step.
    pub fn last_event(&self) -> Option<Event> {
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
        match &self.progress {
            Some(progress) => progress.say(&line),
            None => say(line),
        }
    }

    /// Takes up the steps and evaluations that are done already.
    pub fn take_up_all(&mut self, steps: &[StepRecord], evals: &[EvalRecord]) {
        for step in steps {
            self.take_up(step);
            self.told.extend(step.event);
        }
        self.evals = evals.to_vec();
        if let Some(progress) = &mut self.progress {
            progress.set(steps.len() as u64, String::new);
        }
    }

    fn take_up(&mut self, step: &StepRecord) {
        self.points.push(step.forwards, step.loss);
        self.last_event = step.event;
    }

    /// Keeps the weights, so that a run that is gone on with need not walk all the way from the start. A
    /// failure is told and survived: the checkpoint before is still there, and the log is enough.
    pub fn checkpoint<B: TrainBackend>(&mut self, model: &Opt<B>, step: u64) {
        let Some(log) = &mut self.log else {
            return;
        };
        let folder = checkpoint_folder(self.folder.path(), step);
        let partial = self.folder.path().join("checkpoint.partial");
        let save = || -> Result<()> {
            if partial.exists() {
                std::fs::remove_dir_all(&partial)?;
            }
            adapter::keep(model, &self.base, None, &partial)?;
            let anchor = self.folder.anchor();
            if anchor.exists() {
                // the file is replaced, never written into, so a second name keeps it as it is now
                let copy = partial.join(ANCHOR);
                std::fs::hard_link(&anchor, &copy)
                    .or_else(|_| std::fs::copy(&anchor, &copy).map(|_| ()))?;
            }
            seal(&partial, &adapter::tuned_hash(model))?;
            if !folder.exists() {
                std::fs::rename(&partial, &folder)?;
                zograd_files::sync_folder(self.folder.path())?;
            }
            Ok(())
        };
        let synced = log.sync().map_err(anyhow::Error::from);
        match synced.and_then(|()| save()) {
            Ok(()) => self.remove_checkpoints(Some(step)),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&partial);
                say(format_args!(
                    "note: no checkpoint after step {step} ({error:#}); the one before it is kept"
                ));
            }
        }
    }

    /// Removes what is only needed to go on with a run.
    pub fn remove_scaffolding(&self) {
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

    pub fn save<B: TrainBackend>(&self, model: &Opt<B>) -> Result<()> {
        let tokenizer = Some(self.tokenizer.as_path());
        adapter::keep(model, &self.base, tokenizer, &self.folder.best())
    }

    /// The test score of the best weights, which are the last ones or lie in `best/`.
    pub fn test_best<B: TrainBackend>(
        &self,
        model: Opt<B>,
        summary: &TrainSummary,
        (test, scoring): (&[Prompt], &Scoring),
        settings: &Settings,
        device: &B::Device,
    ) -> Result<Evaluation> {
        let model = match &summary.best {
            Some(best) if best.step != summary.steps && model.adapter().is_some() => model
                .without_adapter()
                .with_adapter_from(&self.folder.best())?,
            Some(best) if best.step != summary.steps => {
                // one model in memory at a time
                drop(model);
                load::<B>(&self.folder.best(), settings.dtype, device)?
            }
            Some(_) => model,
            None => {
                self.save(&model)?;
                model
            }
        };
        score(
            &model,
            test,
            scoring,
            settings.config.eval_batch_size,
            "after",
        )
    }
}

impl<B: TrainBackend> Observer<Opt<B>> for Recorder {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        if let Some(log) = &mut self.log {
            let logged = log.append(&Record {
                step: record.step,
                lr: record.lr,
                weight_decay: record.weight_decay,
                update: record.update.clone(),
                losses: record.losses.clone(),
                skipped: record.skipped,
            });
            logged.map_err(|e| observer_error(e.into()))?;
        }
        self.folder.record("step", record).map_err(observer_error)?;
        self.warn(record);
        if let Some(progress) = &mut self.progress {
            let dev = self.evals.last().map(|e| e.dev_score);
            progress.set(record.step, || match dev {
                Some(dev) => format!(
                    "loss {:.4} dev {} {:.4}",
                    record.loss,
                    dev.metric(),
                    dev.value()
                ),
                None => format!("loss {:.4}", record.loss),
            });
        }
        self.take_up(record);
        Ok(())
    }

    fn on_eval(&mut self, record: &EvalRecord, model: &Opt<B>) -> Result<(), TrainError> {
        // before the metrics say so: a resumed run believes them
        if record.best {
            self.save(model).map_err(observer_error)?;
        }
        self.folder.record("eval", record).map_err(observer_error)?;
        if let Some(progress) = &self.progress {
            progress.say(&format!(
                "step {:>6}  {:>7} forwards  dev {} {:.4}  loss {:.4}{}",
                record.step,
                record.forwards,
                record.dev_score.metric(),
                record.dev_score.value(),
                record.dev_loss,
                if record.best { "  best" } else { "" },
            ));
        }
        self.evals.push(record.clone());
        self.checkpoint(model, record.step);
        Ok(())
    }
}

pub fn observer_error(error: anyhow::Error) -> TrainError {
    TrainError::Observer(error.into())
}
