//! The run itself, on the backend that was chosen.

use super::interrupted::Interrupted;
use super::procedure::Procedure;
use super::recorder::Recorder;
use super::report::{Report, announce, kebab, named_scores};
use super::settings::Settings;
use super::{gradient, tune, zeroth_order};
use crate::backend::{Job, TrainBackend};
use crate::commands::eval::{load, note_truncation, score, truncated};
use crate::commands::replay::check_base;
use crate::environment::Environment;
use crate::example_rows::ExampleRows;
use crate::failure::WhileRunning;
use crate::inputs::Sources;
use crate::output::say;
use crate::presets::Published;
use crate::run_folder::RunFolder;
use crate::signals::Stop;
use anyhow::{Context, Result, bail};
use burn::module::Module;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use zograd_models::{BaseNote, content_hash};
use zograd_perturb::ParameterSpace;
use zograd_tasks::{Prompt, SplitCounts};
use zograd_trainer::trajectory::{Header, TrajectoryWriter};
use zograd_trainer::{Examples, Objective, Scoring, StopReason, peak_memory_bytes};

pub struct Data {
    pub train: Vec<Prompt>,
    pub dev: Vec<Prompt>,
    pub test: Vec<Prompt>,
}

impl Data {
    /// What a run learns from and chooses its weights by.
    fn examples<'a>(&'a self, scoring: &'a Scoring) -> Examples<'a> {
        Examples {
            train: &self.train,
            dev: &self.dev,
            scoring,
        }
    }
}

pub struct TrainJob {
    pub settings: Settings,
    pub sources: Sources,
    pub objective: Box<dyn Objective>,
    pub scoring: Scoring,
    pub data: Data,
    pub rows: ExampleRows,
    pub counts: SplitCounts,
    pub out: PathBuf,
    pub interrupted: Option<Interrupted>,
    pub published: Option<Published>,
    pub stop: Stop,
    /// No words about what is going to be done.
    pub quiet: bool,
}

/// What every way of training is given.
pub struct Work<'a> {
    pub settings: &'a Settings,
    pub objective: &'a dyn Objective,
    pub examples: Examples<'a>,
    pub recorder: &'a mut Recorder,
    pub stop: &'a AtomicBool,
}

impl Job for TrainJob {
    type Output = Report;

    fn run<B: TrainBackend>(self, device: &B::Device) -> Result<Report> {
        let Self {
            settings,
            sources,
            objective,
            scoring,
            data,
            rows,
            counts,
            out,
            interrupted,
            published,
            stop,
            quiet,
        } = self;
        let selection = settings.selection();
        let base = load::<B>(&sources.model, settings.dtype, device)?;
        let note = BaseNote {
            model: sources.model_name.clone(),
            weights: content_hash(&base),
            dtype: kebab(&settings.resolved.dtype),
        };
        if let Some(run) = &interrupted {
            check_base(run.header(), &note.weights)?;
        }
        let (model, adapter) = tune::begin(
            settings.adapter.as_ref(),
            settings.config.seed,
            interrupted.as_ref(),
            (base, &selection),
            &out,
        )?;
        let space = ParameterSpace::select(&model, &selection)?;
        let mut header = match &settings.procedure {
            Procedure::ZerothOrder(zo) => Some(settings.header(zo, &space, &note, adapter.clone())),
            Procedure::Gradient(_) | Procedure::Probe => None,
        };
        if let (Some(run), Some(header)) = (&interrupted, &mut header) {
            // the same model may be named otherwise: config.toml has an absolute path
            header.model.clone_from(&run.header().model);
            if run.header() != header {
                bail!(
                    "--resume {}: config.toml and the log contradict each other",
                    out.display()
                );
            }
        }
        // from here on something is written: the input was fine
        let (folder, log) = match &interrupted {
            None => {
                let folder = RunFolder::create(out, &settings.resolved, &rows)?;
                // before the log: a run with a log has all that goes with it
                tune::keep_start(adapter.as_ref(), &model, &note, folder.path())
                    .context(WhileRunning)?;
                let create = |header: &Header| {
                    TrajectoryWriter::create(&folder.log(), header.clone()).context(WhileRunning)
                };
                let log = header.as_ref().map(create).transpose()?;
                (folder, log)
            }
            Some(run) => (
                RunFolder::resume(out, run.metrics_bytes)?,
                Some(run.writer()?),
            ),
        };
        let done = interrupted.as_ref().map_or(0, |run| run.steps.len());
        Environment::here(
            done as u64,
            kebab(&settings.resolved.backend),
            kebab(&settings.resolved.dtype),
        )
        .record(folder.path())?;
        if !quiet {
            announce(&settings, &sources, &counts);
        }
        let prompts = [&data.train, &data.dev, &data.test];
        prompts
            .iter()
            .for_each(|prompts| note_truncation(prompts, 0));
        let truncated = prompts.iter().map(|prompts| truncated(prompts)).sum();
        let mut parameters = space.dimension();
        let weight_bytes = (model.num_params() * settings.dtype.size()) as u64;
        // the handles are dropped with the clone: the weights are moved in place again
        let before = score(
            &model.clone().without_adapter(),
            &data.test,
            &scoring,
            settings.config.eval_batch_size,
            "before",
        )?;
        let mut recorder = Recorder::new(folder, log, note, &sources, settings.config.steps);
        let work = Work {
            settings: &settings,
            objective: objective.as_ref(),
            examples: data.examples(&scoring),
            recorder: &mut recorder,
            stop: &stop.asked,
        };
        let (model, summary) = match (&settings.procedure, &header) {
            (Procedure::ZerothOrder(zo), Some(header)) => {
                let start = (model, sources.model.as_path());
                zeroth_order::train(start, (zo, space, header), interrupted, work, device)?
            }
            (Procedure::Gradient(how), _) => gradient::train(model, &selection, how, work)?,
            _ => {
                let (model, summary, fitted) = gradient::probe(model, work)?;
                parameters = fitted.unwrap_or(0);
                (model, summary)
            }
        };
        if let (StopReason::Guard, Some(event)) = (summary.stop, recorder.last_event()) {
            say(format_args!(
                "stopped by a guard after step {}: {event}; {}",
                summary.steps,
                event.advice()
            ));
        }
        let after = recorder
            .test_best::<B>(model, &summary, (&data.test, &scoring), &settings, device)
            .context(WhileRunning)?;
        let report = Report {
            model: sources.model_name,
            task: sources.task_name,
            method: settings.method_name,
            tune: kebab(&settings.resolved.tune),
            backend: kebab(&settings.resolved.backend),
            dtype: kebab(&settings.resolved.dtype),
            parameters,
            counts,
            objective: match settings.procedure {
                Procedure::Probe => "logistic-regression".into(),
                _ => kebab(&settings.resolved.objective),
            },
            metric: after.metric,
            score_before: before.score,
            score_after: after.score,
            scores: named_scores(&before, &after, summary.best.as_ref()),
            loss_before: before.loss,
            loss_after: after.loss,
            best_step: summary.best.as_ref().map(|b| b.step),
            best_dev_score: summary.best.as_ref().map(|b| b.dev_score.value()),
            steps: summary.steps,
            forwards: summary.forwards,
            passes: summary.passes,
            tokens: summary.tokens,
            skipped: summary.skipped,
            flat: summary.flat,
            events: summary.events,
            truncated,
            seconds: summary.seconds,
            peak_memory_bytes: peak_memory_bytes(),
            weight_bytes,
            stop: summary.stop,
            paper: published,
            run: recorder.folder.path().to_path_buf(),
        };
        recorder.summarise(&report).context(WhileRunning)?;
        // a run that a guard stopped is not gone on with either
        if report.stop != StopReason::Interrupted {
            recorder.remove_scaffolding();
        }
        Ok(report)
    }
}
