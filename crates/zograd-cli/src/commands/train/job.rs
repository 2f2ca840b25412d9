//! The run itself, on the backend that was chosen.

use super::interrupted::{Interrupted, check_seal};
use super::recorder::Recorder;
use super::report::{Report, announce, kebab, named_scores};
use super::settings::Settings;
use super::tune;
use crate::backend::{Job, TrainBackend};
use crate::commands::adapter;
use crate::commands::eval::{load, note_truncation, score, truncated};
use crate::commands::replay::check_base;
use crate::environment::Environment;
use crate::example_rows::ExampleRows;
use crate::failure::WhileRunning;
use crate::inputs::Sources;
use crate::output::{one_line, say};
use crate::presets::Published;
use crate::progress::Progress;
use crate::run_folder::{ANCHOR, RunFolder};
use crate::signals::Stop;
use crate::walk::Walk;
use anyhow::{Context, Result, bail};
use burn::module::Module;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use zograd_models::{BaseNote, Opt, content_hash};
use zograd_perturb::{Arithmetic, ParameterSpace, Perturbed};
use zograd_select::Strategy;
use zograd_tasks::{Prompt, SplitCounts};
use zograd_trainer::trajectory::{Record, TrajectoryWriter, remember, replay};
use zograd_trainer::{
    Examples, Objective, Scoring, StopReason, TrainSummary, peak_memory_bytes, train_from,
};

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
            base,
            &out,
        )?;
        let space = ParameterSpace::select(&model, &tune::selection(adapter.as_ref()))?;
        let mut header = settings.header(&space, &note, adapter);
        if let Some(run) = &interrupted {
            // the same model may be named otherwise: config.toml has an absolute path
            header.model.clone_from(&run.header().model);
            if *run.header() != header {
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
                tune::keep_start(header.adapter.as_ref(), &model, &note, folder.path())
                    .context(WhileRunning)?;
                let log = TrajectoryWriter::create(&folder.log(), header.clone())
                    .context(WhileRunning)?;
                (folder, log)
            }
            Some(run) => (RunFolder::resume(out, run.metrics_bytes)?, run.writer()?),
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
        let parameters = space.dimension();
        let weight_bytes = (model.num_params() * settings.dtype.size()) as u64;
        // the handles are dropped with the clone: the weights are moved in place again
        let before = score(
            &model.clone().without_adapter(),
            &data.test,
            &scoring,
            settings.config.eval_batch_size,
            "before",
        )?;
        let mut strategy = settings.method.build()?;
        let walk = Walk::from_start(&model, space, &header, folder.anchor())?;
        let mut recorder = Recorder::new(folder, log, note, &sources, settings.config.steps);
        let mut summary = TrainSummary::beginning();
        // taken, not borrowed: what an interrupted run has done is not kept in memory
        let mut model = match interrupted {
            None => walk.begin(model)?,
            Some(run) => {
                summary = run.summary();
                recorder.take_up_all(&run.steps, &run.evals);
                let start = (model, sources.model.as_path());
                go_on(&run, start, walk, strategy.as_mut(), &settings, device)?
            }
        };
        let summary = fit(
            &mut model,
            strategy.as_mut(),
            (objective.as_ref(), data.examples(&scoring)),
            &settings,
            &mut recorder,
            (summary, &stop.asked),
        )
        .context(WhileRunning)?;
        if summary.stop == StopReason::Interrupted {
            recorder.checkpoint(model.module(), summary.steps);
            say(format_args!(
                "interrupted after step {}; go on with: zograd train --resume {}",
                summary.steps,
                recorder.folder.path().display()
            ));
        }
        if let (StopReason::Guard, Some(event)) = (summary.stop, recorder.last_event()) {
            say(format_args!(
                "stopped by a guard after step {}: {event}; {}",
                summary.steps,
                event.advice()
            ));
        }
        let model = model.into_module()?;
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
            objective: kebab(&settings.resolved.objective),
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
        recorder.folder.summarise(&report).context(WhileRunning)?;
        // a run that a guard stopped is not gone on with either
        if report.stop != StopReason::Interrupted {
            recorder.remove_scaffolding();
        }
        Ok(report)
    }
}

pub fn fit<B: TrainBackend>(
    model: &mut Perturbed<B, Opt<B>>,
    strategy: &mut dyn Strategy,
    (objective, examples): (&dyn Objective, Examples<'_>),
    settings: &Settings,
    recorder: &mut Recorder,
    (summary, stop): (TrainSummary, &AtomicBool),
) -> Result<TrainSummary> {
    let summary = train_from(
        summary,
        model,
        strategy,
        objective,
        examples,
        &settings.config,
        recorder,
        stop,
    )?;
    recorder.finish()?;
    Ok(summary)
}

/// The weights and the memory of the strategy after the whole steps of an interrupted run: from its newest
/// checkpoint, or from the start weights (given with the folder they came from) if that is lost.
pub fn go_on<B: TrainBackend>(
    run: &Interrupted,
    (start, source): (Opt<B>, &Path),
    walk: Walk,
    strategy: &mut dyn Strategy,
    settings: &Settings,
    device: &B::Device,
) -> Result<Perturbed<B, Opt<B>>> {
    let (step, mut model) = match run.checkpoint() {
        None => (0, walk.begin(start)?),
        Some((step, folder)) => {
            // an adapter needs its base; where all weights are tuned, there is one model in memory at a time
            let base = settings.adapter.as_ref().map(|_| start.clone());
            drop(start);
            match restore::<B>(run, &folder, base.as_ref(), settings, device) {
                Ok(model) => (step as usize, walk.go_on(model)?),
                Err(error) => {
                    say(format_args!(
                        "note: {}; walking from the start weights instead",
                        one_line(&format!("{error:#}"))
                    ));
                    let start = match base {
                        Some(start) => start,
                        None => load::<B>(source, settings.dtype, device)?,
                    };
                    (0, walk.begin(start)?)
                }
            }
        }
    };
    let (before, after) = run.records().split_at(step);
    remember(strategy, run.header(), before)?;
    if settings.arithmetic == Arithmetic::Anchored {
        // the originals lack what happened since they were last in place
        let anchors = |record: &Record| settings.config.anchors_after(record.step);
        let last = before.iter().rposition(anchors).map_or(0, |last| last + 1);
        for update in before[last..].iter().filter_map(Record::applied) {
            model.remember(update);
        }
    }
    let mut progress = Progress::new("replay", after.len() as u64);
    replay(&mut model, strategy, run.header(), after, |step| {
        progress.set(step - before.len() as u64, String::new);
    })?;
    progress.finish();
    Ok(model)
}

/// The model of a checkpoint, and its f32 originals in the place of the run's.
fn restore<B: TrainBackend>(
    run: &Interrupted,
    checkpoint: &Path,
    base: Option<&Opt<B>>,
    settings: &Settings,
    device: &B::Device,
) -> Result<Opt<B>> {
    let model = match base {
        Some(base) => base
            .clone()
            .without_adapter()
            .with_adapter_from(checkpoint)?,
        None => load::<B>(checkpoint, settings.dtype, device)?,
    };
    check_seal(checkpoint, &adapter::tuned_hash(&model))?;
    if settings.arithmetic == Arithmetic::Anchored {
        let (from, to) = (checkpoint.join(ANCHOR), run.folder().join(ANCHOR));
        let partial = to.with_extension("partial");
        std::fs::copy(&from, &partial)
            .and_then(|_| std::fs::rename(&partial, &to))
            .with_context(|| from.display().to_string())?;
    }
    Ok(model)
}
