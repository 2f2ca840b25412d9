//! The run itself, on the backend that was chosen.

use super::interrupted::{Interrupted, check_seal};
use super::recorder::Recorder;
use super::report::{Report, announce, kebab};
use super::settings::Settings;
use crate::backend::{Job, TrainBackend};
use crate::commands::eval::{load, note_truncation, score, truncated};
use crate::commands::replay::check_base;
use crate::failure::WhileRunning;
use crate::inputs::Sources;
use crate::output::{one_line, say};
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::signals::Stop;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use zograd_models::{Opt, content_hash};
use zograd_perturb::{Arithmetic, Grids, NoiseKind, ParameterSpace, Perturbed, Selection};
use zograd_select::Strategy;
use zograd_tasks::{Prompt, SplitCounts};
use zograd_trainer::trajectory::{TrajectoryWriter, remember, replay};
use zograd_trainer::{
    Classification, Examples, StopReason, TrainSummary, peak_memory_bytes, train_from,
};

pub struct Data {
    pub train: Vec<Prompt>,
    pub dev: Vec<Prompt>,
    pub test: Vec<Prompt>,
}

pub struct TrainJob {
    pub settings: Settings,
    pub sources: Sources,
    pub data: Data,
    pub counts: SplitCounts,
    pub out: PathBuf,
    pub interrupted: Option<Interrupted>,
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
            data,
            counts,
            out,
            interrupted,
            stop,
            quiet,
        } = self;
        let model = load::<B>(&sources.model, settings.dtype, device)?;
        let space = ParameterSpace::select(&model, &Selection::All)?;
        let header = settings.header(&sources, &space, content_hash(&model));
        if let Some(run) = &interrupted {
            check_base(run.header(), &header.weights)?;
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
                let folder = RunFolder::create(out, &settings.resolved)?;
                let log = TrajectoryWriter::create(&folder.log(), header.clone())
                    .context(WhileRunning)?;
                (folder, log)
            }
            Some(run) => (RunFolder::resume(out, run.metrics_bytes)?, run.writer()?),
        };
        if !quiet {
            announce(&settings, &sources, &counts);
        }
        let prompts = [&data.train, &data.dev, &data.test];
        prompts.iter().for_each(|prompts| note_truncation(prompts));
        let truncated = prompts.iter().map(|prompts| truncated(prompts)).sum();
        let parameters = space.dimension();
        let before = score(
            &model,
            &data.test,
            settings.config.eval_batch_size,
            "before",
        )?;
        let mut strategy = settings.method.build()?;
        let grids = match settings.arithmetic {
            Arithmetic::Exact => Some(Grids::of(&model, &space, settings.eps)?),
            Arithmetic::Plain => None,
        };
        let mut recorder = Recorder::new(folder, log, &sources, settings.config.steps);
        let mut summary = TrainSummary::beginning();
        let mut model = match &interrupted {
            None => walker(model, space, settings.noise, settings.eps, grids)?,
            Some(run) => {
                summary = run.summary();
                recorder.steps = run.steps.clone();
                recorder.evals = run.evals.clone();
                recorder.set_progress(summary.steps);
                go_on(
                    run,
                    model,
                    (space, grids),
                    strategy.as_mut(),
                    &settings,
                    device,
                )?
            }
        };
        let summary = fit(
            &mut model,
            strategy.as_mut(),
            &data,
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
        let model = model.into_module()?;
        let after = recorder
            .test_best::<B>(model, &summary, &data.test, &settings, device)
            .context(WhileRunning)?;
        let report = Report {
            model: sources.model_name,
            task: sources.task_name,
            method: settings.method_name,
            backend: kebab(&settings.resolved.backend),
            dtype: kebab(&settings.resolved.dtype),
            parameters,
            counts,
            accuracy_before: before.accuracy,
            accuracy_after: after.accuracy,
            loss_before: before.loss,
            loss_after: after.loss,
            best_step: summary.best.as_ref().map(|b| b.step),
            best_dev_accuracy: summary.best.as_ref().map(|b| b.dev_accuracy),
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
            weight_bytes: parameters * settings.dtype.size() as u64,
            stop: summary.stop,
            run: recorder.folder.path().to_path_buf(),
        };
        recorder.folder.summarise(&report).context(WhileRunning)?;
        if report.stop == StopReason::Finished {
            recorder.remove_checkpoints(None);
        }
        Ok(report)
    }
}

pub fn fit<B: TrainBackend>(
    model: &mut Perturbed<B, Opt<B>>,
    strategy: &mut dyn Strategy,
    data: &Data,
    settings: &Settings,
    recorder: &mut Recorder,
    (summary, stop): (TrainSummary, &AtomicBool),
) -> Result<TrainSummary> {
    let examples = Examples {
        train: &data.train,
        dev: &data.dev,
    };
    let summary = train_from(
        summary,
        model,
        strategy,
        &Classification,
        examples,
        &settings.config,
        recorder,
        stop,
    )?;
    recorder.finish()?;
    Ok(summary)
}

/// The model at its start weights, on grids if there are any.
pub fn walker<B: TrainBackend>(
    model: Opt<B>,
    space: ParameterSpace,
    noise: NoiseKind,
    eps: f64,
    grids: Option<Grids>,
) -> Result<Perturbed<B, Opt<B>>> {
    Ok(match grids {
        Some(grids) => Perturbed::on_grids(model, space, noise, eps, grids)?,
        None => Perturbed::new(model, space, noise, eps)?,
    })
}

/// The weights and the memory of the strategy after the whole steps of an interrupted run: from its newest
/// checkpoint, or from the start weights if that is lost.
pub fn go_on<B: TrainBackend>(
    run: &Interrupted,
    base: Opt<B>,
    (space, grids): (ParameterSpace, Option<Grids>),
    strategy: &mut dyn Strategy,
    settings: &Settings,
    device: &B::Device,
) -> Result<Perturbed<B, Opt<B>>> {
    let mut base = Some(base);
    let checkpoint = run.checkpoint().and_then(|(step, folder)| {
        let model = load::<B>(&folder, settings.dtype, device).and_then(|model| {
            check_seal(&folder, &content_hash(&model))?;
            Ok(model)
        });
        match model {
            Ok(model) => Some((step, model)),
            Err(error) => {
                say(format_args!(
                    "note: {}; walking from the start weights instead",
                    one_line(&format!("{error:#}"))
                ));
                None
            }
        }
    });
    let (step, module) = match checkpoint {
        Some((step, model)) => {
            // one model in memory at a time
            base = None;
            (step as usize, Some(model))
        }
        None => (0, base.take()),
    };
    drop(base);
    let module = module.context("no weights to go on from")?;
    let (before, after) = run.records().split_at(step);
    remember(strategy, run.header(), before)?;
    let mut model = walker(module, space, settings.noise, settings.eps, grids)?;
    let mut progress = Progress::new("replay", after.len() as u64);
    replay(&mut model, strategy, run.header(), after, |step| {
        progress.set(step - before.len() as u64, String::new);
    })?;
    progress.finish();
    Ok(model)
}
