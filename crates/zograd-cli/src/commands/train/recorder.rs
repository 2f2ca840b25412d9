//! Writes what happens into the run folder and shows it.

use super::interrupted::{checkpoint_folder, checkpoints, seal};
use super::settings::Settings;
use crate::backend::TrainBackend;
use crate::commands::eval::{load, score};
use crate::inputs::Sources;
use crate::output::say;
use crate::plot;
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use anyhow::Result;
use std::path::PathBuf;
use zograd_models::{Opt, content_hash};
use zograd_tasks::Prompt;
use zograd_trainer::trajectory::{Record, TrajectoryWriter};
use zograd_trainer::{EvalRecord, Evaluation, Observer, StepRecord, TrainError, TrainSummary};

/// Writes what happens into the run folder and shows it.
pub struct Recorder {
    pub folder: RunFolder,
    pub log: TrajectoryWriter,
    pub tokenizer: PathBuf,
    pub title: String,
    pub progress: Option<Progress>,
    pub steps: Vec<StepRecord>,
    pub evals: Vec<EvalRecord>,
}

impl Recorder {
    pub fn new(folder: RunFolder, log: TrajectoryWriter, sources: &Sources, steps: u64) -> Self {
        Self {
            folder,
            log,
            tokenizer: sources.tokenizer.clone(),
            title: format!("{} on {}", sources.model_name, sources.task_name),
            progress: Some(Progress::new("train", steps)),
            steps: Vec::new(),
            evals: Vec::new(),
        }
    }

    /// Takes the bar away and draws the curve.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
        plot::loss_curve(
            &self.folder.path().join("loss.svg"),
            &self.title,
            &self.steps,
            &self.evals,
        )
    }

    /// Tells the first event of each kind; all are counted at the end.
    fn warn(&self, record: &StepRecord) {
        let Some(event) = record.event else {
            return;
        };
        if self.steps.iter().any(|step| step.event == Some(event)) {
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

    /// Shows the steps that are done already.
    pub fn set_progress(&mut self, steps: u64) {
        if let Some(progress) = &mut self.progress {
            progress.set(steps, String::new);
        }
    }

    /// Keeps the weights, so that a run that is gone on with need not walk all the way from the start. A
    /// failure is told and survived: the checkpoint before is still there, and the log is enough.
    pub fn checkpoint<B: TrainBackend>(&mut self, model: &Opt<B>, step: u64) {
        let folder = checkpoint_folder(self.folder.path(), step);
        let partial = self.folder.path().join("checkpoint.partial");
        let save = || -> Result<()> {
            if partial.exists() {
                std::fs::remove_dir_all(&partial)?;
            }
            zograd_models::save_pretrained(model, model.config(), None, &partial)?;
            seal(&partial, &content_hash(model))?;
            if !folder.exists() {
                std::fs::rename(&partial, &folder)?;
            }
            Ok(())
        };
        match self
            .log
            .sync()
            .map_err(anyhow::Error::from)
            .and_then(|()| save())
        {
            Ok(()) => self.remove_checkpoints(Some(step)),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&partial);
                say(format_args!(
                    "note: no checkpoint after step {step} ({error:#}); the one before it is kept"
                ));
            }
        }
    }

    /// Removes all checkpoints but one.
    pub fn remove_checkpoints(&self, but: Option<u64>) {
        for (step, folder) in checkpoints(self.folder.path()) {
            if Some(step) != but {
                // one that stays costs space only
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }

    pub fn save<B: TrainBackend>(&self, model: &Opt<B>) -> Result<()> {
        let (config, tokenizer) = (model.config(), Some(self.tokenizer.as_path()));
        Ok(zograd_models::save_pretrained(
            model,
            config,
            tokenizer,
            &self.folder.best(),
        )?)
    }

    /// The test score of the best weights, which are the last ones or lie in `best/`.
    pub fn test_best<B: TrainBackend>(
        &self,
        model: Opt<B>,
        summary: &TrainSummary,
        test: &[Prompt],
        settings: &Settings,
        device: &B::Device,
    ) -> Result<Evaluation> {
        let model = match &summary.best {
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
        score(&model, test, settings.config.eval_batch_size, "after")
    }
}

impl<B: TrainBackend> Observer<Opt<B>> for Recorder {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        let logged = self.log.append(&Record {
            step: record.step,
            lr: record.lr,
            weight_decay: record.weight_decay,
            update: record.update.clone(),
            losses: record.losses.clone(),
            skipped: record.skipped,
        });
        logged.map_err(|e| observer_error(e.into()))?;
        self.folder.record("step", record).map_err(observer_error)?;
        self.warn(record);
        if let Some(progress) = &mut self.progress {
            let dev = self.evals.last().map(|e| e.dev_accuracy);
            progress.set(record.step, || match dev {
                Some(accuracy) => format!("loss {:.4} dev accuracy {accuracy:.4}", record.loss),
                None => format!("loss {:.4}", record.loss),
            });
        }
        self.steps.push(record.clone());
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
                "step {:>6}  {:>7} forwards  dev accuracy {:.4}  loss {:.4}{}",
                record.step,
                record.forwards,
                record.dev_accuracy,
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
