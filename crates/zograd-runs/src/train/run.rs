//! The run itself, on the backend that was chosen.

use super::gradient;
use super::linear_probe;
use super::prepare::{Destination, Prepared};
use super::rebuild::Rebuild;
use super::recorder::Recorder;
use super::start;
use super::work::{Work, in_between, stopped};
use super::zeroth_order::{self, Start};
use crate::backend::{Job, RunBackend};
use crate::error::{Blame, Result, RunError, refuse};
use crate::folder::{
    CONFIG, Claimed, Environment, Interrupted, LOG, RunFolder, Summary, check_base, named_scores,
};
use crate::inputs::{Questions, load, note_lengths, score, truncated, tuned_hash};
use crate::settings::{Procedure, Settings};
use crate::watch::Watch;
use burn::module::Module;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use zograd_models::{BaseNote, Model, content_hash};
use zograd_perturb::{ParameterSpace, is_exact_on};
use zograd_select::Methods;
use zograd_trainer::trajectory::{AdapterStart, Header, Trajectory, TrajectoryWriter};
use zograd_trainer::{Evaluation, StopReason, TrainSummary, peak_memory_bytes, stands_still};

/// A run, to be begun or resumed on a backend.
pub(crate) struct TrainJob<'a> {
    pub(crate) prepared: Prepared,
    pub(crate) destination: Destination,
    pub(crate) methods: &'a Methods,
    /// Raised to ask for an early end.
    pub(crate) stop: &'a AtomicBool,
    pub(crate) watch: &'a mut dyn Watch,
}

/// What the run starts from.
struct Beginning<B: RunBackend> {
    note: BaseNote,
    model: Model<B>,
    adapter: Option<AdapterStart>,
    space: ParameterSpace,
    /// What its log says; gradient methods have none.
    header: Option<Header>,
}

/// What training gave.
struct Trained<B: RunBackend> {
    model: Model<B>,
    summary: TrainSummary,
    /// How many numbers moved.
    parameters: u64,
}

impl Job for TrainJob<'_> {
    type Output = Summary;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<Summary> {
        let Self {
            mut prepared,
            destination,
            methods,
            stop,
            watch,
        } = self;
        if prepared.settings.is_exact() && !is_exact_on::<B>(device) {
            if destination.interrupted().is_some() {
                refuse!(
                    "`arithmetic = exact`: this device rounds fused multiply-adds twice; resume on another `backend`"
                );
            }
            prepared.settings.make_plain();
            watch.note(
                "note: this device rounds fused multiply-adds twice, so steps are not exact: using `arithmetic = plain`",
            );
        }
        let beginning = begin::<B>(&prepared, destination.interrupted(), device)?;
        // from here on something is written: the input was fine
        watch.writing_begins();
        let (claimed, interrupted) = destination.claim()?;
        let (folder, log) = open(
            &prepared,
            methods,
            claimed,
            interrupted.as_ref(),
            &beginning,
        )?;
        watch.run_begins(&prepared.in_words());
        let room = prepared.settings.inputs.max_new_tokens;
        for prompts in prepared.data.all() {
            note_lengths(prompts, 0, room, watch);
        }
        let weight_bytes =
            (beginning.model.num_params() * prepared.settings.machine.storage().bytes()) as u64;
        let questions = Questions {
            prompts: &prepared.data.test,
            scoring: &prepared.scoring,
            batch_size: prepared.settings.config.eval_batch_size,
            stop: Some(stop),
        };
        // the handles are dropped with the clone: the weights are moved in place again
        let plain = beginning.model.clone().without_adapter();
        let before = score(&plain, questions, "before", watch).map_err(|error| match error {
            RunError::Stopped(_) => stopped(folder.path(), log.is_some()),
            other => other,
        })?;
        drop(plain);

        let note = beginning.note.clone();
        let mut recorder = Recorder::new(folder, log, note, &prepared, watch);
        let work = Work {
            settings: &prepared.settings,
            methods,
            objective: prepared.objective.as_ref(),
            examples: prepared.data.examples(&prepared.scoring),
            recorder: &mut recorder,
            stop,
        };
        let source = &prepared.sources.model;
        let trained = train(work, beginning, interrupted, source, device)?;
        let Trained {
            model,
            mut summary,
            parameters,
        } = trained;
        if let (StopReason::Guard, Some(event)) = (summary.stop, recorder.last_event()) {
            recorder.watch.note(&format!(
                "stopped by a guard after step {}: {event}; {}",
                summary.steps,
                event.advice()
            ));
        }
        let has_log = matches!(prepared.settings.procedure, Procedure::ZerothOrder(_));
        let weights = tuned_hash(&model);
        note_kept(&summary, prepared.data.dev.is_empty(), recorder.watch);
        let judged = match summary.stop {
            StopReason::Interrupted => {
                recorder.keep_last(&model, &summary)?;
                None
            }
            _ => {
                let trained = (model, &summary);
                Some(judge(
                    &prepared,
                    (methods, stop),
                    trained,
                    &mut recorder,
                    device,
                )?)
            }
        };
        let (after, best_weights) = judged.unzip();
        let after = after.flatten();
        if after.is_none() && summary.stop != StopReason::Interrupted {
            summary.stop = StopReason::Interrupted;
            let line = in_between(recorder.folder.path(), has_log);
            recorder.watch.note(&line);
        }
        let scores = (&before, after.as_ref());
        let mut report = sum_up(&prepared, scores, summary, parameters, weight_bytes)?;
        report.weights = weights;
        report.best_weights = best_weights;
        report.run = recorder.folder.path().to_path_buf();
        recorder.summarise(&report)?;
        // a run that a guard stopped is not resumed either
        if report.stop != StopReason::Interrupted {
            recorder.remove_scaffolding();
        }
        Ok(report)
    }
}

/// Loads the weights, and puts beside them what is tuned.
fn begin<B: RunBackend>(
    prepared: &Prepared,
    interrupted: Option<&Interrupted>,
    device: &B::Device,
) -> Result<Beginning<B>> {
    let settings = &prepared.settings;
    let base =
        load::<B>(&prepared.sources.model, settings.machine.storage(), device).about("`model`")?;
    let note = BaseNote {
        model: prepared.sources.model_name.clone(),
        weights: content_hash(&base),
        dtype: settings.machine.storage(),
    };
    if let Some(run) = interrupted {
        check_base(run.header(), &note.weights)?;
    }
    let (model, adapter) = start::begin(settings, base, interrupted)?;
    let space = ParameterSpace::select(&model, &settings.selection()).or_input()?;
    let mut header = match &settings.procedure {
        Procedure::ZerothOrder(zo) => {
            let still = stands_still(&model, &space, prepared.objective.as_ref());
            Some(settings.header(zo, &space, &note, adapter.clone(), still))
        }
        Procedure::Gradient(_) | Procedure::LinearProbe => None,
    };
    if let (Some(run), Some(header)) = (interrupted, &mut header) {
        // the same model may be named otherwise: config.toml has an absolute path
        header.model.clone_from(&run.header().model);
        if run.header() != header {
            let steps = run.header().config.steps;
            if steps > header.config.steps {
                refuse!(
                    "`resume = {}`: the run was being made longer: say so again (`steps = {steps}`)",
                    run.folder().display()
                );
            }
            refuse!(
                "`resume = {}`: {CONFIG} and {LOG} contradict each other",
                run.folder().display()
            );
        }
    }
    Ok(Beginning {
        note,
        model,
        adapter,
        space,
        header,
    })
}

/// Makes the folder and the log, or opens those of the run that is resumed.
fn open<B: RunBackend>(
    prepared: &Prepared,
    methods: &Methods,
    claimed: Claimed,
    interrupted: Option<&Interrupted>,
    beginning: &Beginning<B>,
) -> Result<(RunFolder, Option<TrajectoryWriter>)> {
    let settings = &prepared.settings;
    let (folder, log) = match interrupted {
        None => {
            let config = settings.given()?.in_order(&Settings::keys(methods));
            let folder = RunFolder::create(claimed, &config, &prepared.rows, &prepared.origin)?;
            // before the log: a run with a log has all that goes with it
            let (adapter, note) = (beginning.adapter.as_ref(), &beginning.note);
            start::keep_start(adapter, &beginning.model, note, folder.path())?;
            let create = |header: &Header| {
                TrajectoryWriter::create(&folder.log(), header.clone()).while_running()
            };
            let log = beginning.header.as_ref().map(create).transpose()?;
            (folder, log)
        }
        Some(run) => (RunFolder::resume(claimed, run)?, Some(run.writer()?)),
    };
    let done = interrupted.map_or(0, |run| run.steps.len());
    let (backend, dtype) = (settings.machine.backend(), settings.machine.storage());
    Environment::here(done as u64, backend.to_string(), dtype.to_string()).record(folder.path())?;
    Ok((folder, log))
}

fn train<B: RunBackend>(
    work: Work<'_, '_>,
    beginning: Beginning<B>,
    interrupted: Option<Interrupted>,
    source: &Path,
    device: &B::Device,
) -> Result<Trained<B>> {
    let settings = work.settings;
    let Beginning {
        model,
        space,
        header,
        ..
    } = beginning;
    let mut parameters = space.dimension();
    let (model, summary) = match (&settings.procedure, &header) {
        (Procedure::ZerothOrder(_), Some(header)) => {
            let start = Start {
                model,
                source,
                device,
            };
            zeroth_order::train(start, header, interrupted, work)?
        }
        (Procedure::Gradient(how), _) => gradient::train(model, &settings.selection(), how, work)?,
        _ => {
            let (model, summary, fitted) = linear_probe::probe(model, work)?;
            parameters = fitted.unwrap_or(0);
            (model, summary)
        }
    };
    Ok(Trained {
        model,
        summary,
        parameters,
    })
}

/// The test score of the best weights, if there was time for it, and their hash.
fn judge<B: RunBackend>(
    prepared: &Prepared,
    (methods, stop): (&Methods, &AtomicBool),
    (model, summary): (Model<B>, &TrainSummary),
    recorder: &mut Recorder<'_>,
    device: &B::Device,
) -> Result<(Option<Evaluation>, String)> {
    let settings = &prepared.settings;
    let storage = settings.machine.storage();
    let (run, log) = (recorder.folder.path().to_owned(), recorder.folder.log());
    let again = |step: u64, watch: &mut dyn Watch| {
        let log = Trajectory::read(&log).while_running()?;
        let rebuild = Rebuild {
            model: &prepared.sources.model,
            storage,
            methods,
            start: &start::start_folder(&run),
            header: &log.header,
            records: &log.records[..log.records.len().min(step as usize)],
            originals: run.join("best.f32"),
        };
        rebuild.run::<B>(device, watch)
    };
    let best = recorder.best_model::<B>(model, summary, storage, device, again);
    let best = best.while_running()?;
    let questions = Questions {
        prompts: &prepared.data.test,
        scoring: &prepared.scoring,
        batch_size: settings.config.eval_batch_size,
        stop: Some(stop),
    };
    let weights = tuned_hash(&best);
    match score(&best, questions, "after", recorder.watch) {
        Err(RunError::Stopped(_)) => Ok((None, weights)),
        after => Ok((Some(after.while_running()?), weights)),
    }
}

/// Says what is kept where nothing could be chosen.
fn note_kept(summary: &TrainSummary, unmeasured: bool, watch: &mut dyn Watch) {
    let chosen = summary.best.is_some() || summary.stop == StopReason::Interrupted;
    match (chosen, unmeasured, summary.stop) {
        (false, false, _) => watch.note(
            "note: no evaluation had a finite loss: best/ holds the last weights, whatever they are worth",
        ),
        (false, true, StopReason::Guard) => watch.note(
            "note: there are no development examples to choose by: best/ holds the weights at which the guard stopped",
        ),
        _ => {}
    }
}

/// The summary of a run; its folder and the hashes of its weights are still to be named.
fn sum_up(
    prepared: &Prepared,
    (before, after): (&Evaluation, Option<&Evaluation>),
    summary: TrainSummary,
    parameters: u64,
    weight_bytes: u64,
) -> Result<Summary> {
    let settings = &prepared.settings;
    let cut = prepared.data.all().map(truncated);
    let gain = summary.gain(settings.config.best_by);
    Ok(Summary {
        model: prepared.sources.model_name.clone(),
        task: prepared.sources.task_name.clone(),
        method: settings.method.clone(),
        tune: settings.tune.to_string(),
        backend: settings.machine.backend().to_string(),
        dtype: settings.machine.storage().to_string(),
        parameters,
        counts: prepared.counts,
        objective: match (&settings.procedure, settings.objective) {
            (Procedure::LinearProbe, _) | (_, None) => "logistic-regression".into(),
            (_, Some(objective)) => objective.to_string(),
        },
        metric: before.metric,
        scores: named_scores(before, after, summary.best.as_ref()),
        loss_before: before.loss,
        loss_after: after.map_or(f64::NAN, |after| after.loss),
        weights: String::new(),
        best_weights: None,
        best_step: summary.best.as_ref().map(|b| b.step),
        steps: summary.steps,
        forwards: summary.forwards,
        passes: summary.passes,
        tokens: summary.tokens,
        skipped: summary.skipped,
        flat: summary.flat,
        events: summary.events,
        truncated: cut.iter().sum(),
        seconds: summary.seconds,
        peak_memory_bytes: peak_memory_bytes(),
        weight_bytes,
        gain,
        stop: summary.stop,
        paper: prepared.published.clone(),
        settings: serde_json::to_value(settings.given()?.values()).while_running()?,
        run: PathBuf::new(),
    })
}
