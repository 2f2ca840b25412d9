//! The run itself, on the backend that was chosen.

use super::gradient;
use super::head_fit;
use super::informed::InformedSteps;
use super::linear_probe;
use super::nearest::Start;
use super::option_bias::Kept;
use super::prepare::{Destination, Prepared};
use super::rate;
use super::rebuild::Rebuild;
use super::recorder::Recorder;
use super::start::{self, Resumed};
use super::tail;
use super::work::{Work, in_between, stopped};
use super::zeroth_order;
use crate::backend::{Job, RunBackend};
use crate::error::{Blame, Result, RunError, refuse};
use crate::folder::{
    CONFIG, Claimed, Environment, Interrupted, LOG, RunFolder, Summary, check_base, named_scores,
};
use crate::inputs::{Questions, load, note_lengths, score, truncated, tuned_hash};
use crate::ranks::{Fact, agreed, alike, waited};
use crate::settings::{MethodKind, Procedure, Settings, Storage, WITHOUT_EFFECT};
use crate::watch::Watch;
use crate::words::count;
use burn::module::Module;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use zograd_models::{BaseNote, Model, content_hash};
use zograd_perturb::{ParameterSpace, is_exact_on, noise};
use zograd_ranks::Ranks;
use zograd_select::Methods;
use zograd_trainer::trajectory::{AdapterStart, Header, Trajectory, TrajectoryWriter};
use zograd_trainer::{
    Allowance, Evaluation, HeadFit, StopReason, TrainSummary, bias_examples, option_biases,
    peak_memory_bytes, stands_still,
};

/// A run, to be begun or resumed on a backend.
pub(crate) struct TrainJob<'a> {
    pub(crate) prepared: Prepared,
    pub(crate) destination: Destination,
    pub(crate) methods: &'a Methods,
    /// Those that share the work, of which this is the first; one of them may be asked for an early end.
    pub(crate) ranks: &'a Ranks,
    pub(crate) watch: &'a mut dyn Watch,
}

/// What the run starts from.
pub(super) struct Beginning<B: RunBackend> {
    pub(super) note: BaseNote,
    pub(super) model: Model<B>,
    /// The model as it was given, if its head was fitted since.
    given: Option<Model<B>>,
    pub(super) adapter: Option<AdapterStart>,
    pub(super) space: ParameterSpace,
    /// What its log says; gradient methods have none.
    pub(super) header: Option<Header>,
}

impl<B: RunBackend> Beginning<B> {
    /// The model as it was given. Its handles are to be dropped before steps are made: weights are moved in place.
    pub(super) fn untuned(&mut self) -> Model<B> {
        let given = self.given.take();
        given.unwrap_or_else(|| self.model.clone().without_adapter())
    }

    /// How many numbers are kept: those of the adapter, or all.
    fn kept(&self) -> u64 {
        match self.adapter {
            Some(_) => self.space.dimension(),
            None => self.model.num_params() as u64,
        }
    }

    /// Bytes of the weights in memory.
    pub(super) fn weight_bytes(&self, prepared: &Prepared) -> u64 {
        (self.model.num_params() * prepared.settings.machine.storage().bytes()) as u64
    }
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
            ranks,
            watch,
        } = self;
        let stop = ranks.agreed();
        alike(ranks, &input_facts(&prepared)?)?;
        let resumed = destination.interrupted().map(Resumed::from);
        settle_arithmetic::<B>(&mut prepared, (resumed.is_some(), ranks), device, watch)?;
        // before what such rows may spoil
        let room = prepared.settings.inputs.max_new_tokens;
        for prompts in prepared.data.all() {
            note_lengths(prompts, 0, room, watch);
        }
        let before = resumed.as_ref();
        let fit = settle_rate::<B>(&mut prepared, before, methods, (ranks, &mut *watch), device)?;
        let begun = begin::<B>(&prepared, before, fit, (ranks, &mut *watch), device);
        let mut beginning = agreed(ranks, begun)?;
        alike(ranks, &weight_facts(&beginning))?;
        // from here on something is written: the input was fine
        watch.writing_begins();
        let opened = destination.claim().and_then(|(claimed, interrupted)| {
            let before = interrupted.as_ref();
            let (folder, log) = open(&prepared, methods, claimed, before, &beginning)?;
            Ok((folder, log, interrupted))
        });
        let (folder, log, interrupted) = agreed(ranks, opened)?;
        watch.run_begins(&prepared.in_words());
        let weight_bytes = beginning.weight_bytes(&prepared);
        let numbers = beginning.kept();
        let questions = Questions {
            prompts: &prepared.data.test,
            scoring: &prepared.scoring,
            batch_size: prepared.settings.config.eval_batch_size,
            stop: Some(stop),
            ranks,
        };
        // the handles are dropped with the clone: the weights are moved in place again
        let plain = beginning.untuned();
        let before = score(&plain, questions, "before", watch).map_err(|error| match error {
            RunError::Stopped(_) => stopped(folder.path(), log.is_some()),
            other => other,
        })?;
        drop(plain);

        let note = beginning.note.clone();
        let forwards = prepared.settings.forwards(methods)?;
        let outlook = (&prepared, numbers, forwards);
        let mut recorder = Recorder::new(folder, log, note, outlook, watch);
        let work = Work {
            settings: &prepared.settings,
            methods,
            objective: prepared.objective.as_ref(),
            examples: prepared.data.examples(&prepared.scoring),
            recorder: &mut recorder,
            stop,
            ranks,
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
                event.advice(prepared.settings.machine.storage() == Storage::F32)
            ));
        }
        if summary.stop == StopReason::Patience {
            recorder.watch.note(&format!(
                "ended after step {} of {}: {} without a better one (`patience = {}`)",
                summary.steps,
                prepared.settings.config.steps,
                count(summary.stale, "evaluation"),
                prepared.settings.config.patience
            ));
        }
        if let (StopReason::Budget, Some(Allowance::Seconds(_))) =
            (summary.stop, prepared.settings.config.limit.map(|l| l.of))
        {
            recorder.watch.note(&format!(
                "the seconds are over after {}; `config = {}` with `steps = {}` makes the same steps without a clock",
                count(summary.steps, "step"),
                recorder.folder.path().join(CONFIG).display(),
                summary.steps
            ));
        }
        let has_log = MethodKind::of(&prepared.settings.method).has_log();
        let weights = tuned_hash(&model);
        alike(ranks, &last_weights(&weights)).while_running()?;
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
                    (methods, ranks),
                    trained,
                    &mut recorder,
                    device,
                )?)
            }
        };
        let (after, best) = judged.unzip();
        let after = after.flatten();
        if after.is_none() && summary.stop != StopReason::Interrupted {
            summary.stop = StopReason::Interrupted;
            let line = in_between(recorder.folder.path(), has_log);
            recorder.watch.note(&line);
        }
        let scores = (&before, after.as_ref());
        let mut report = sum_up(&prepared, scores, summary, parameters, weight_bytes)?;
        report.weights = weights;
        if let Some(best) = best {
            best.note_in(&mut report);
        }
        report.run = recorder.folder.path().to_path_buf();
        report.waited = waited(ranks)?;
        recorder.summarise(&report)?;
        // a run that a guard stopped is not resumed either
        if report.stop != StopReason::Interrupted {
            recorder.remove_scaffolding();
        }
        Ok(report)
    }
}

/// Has steps be plain where the device cannot make exact ones; whether it can is to be the same on all ranks.
pub(super) fn settle_arithmetic<B: RunBackend>(
    prepared: &mut Prepared,
    (is_resumed, ranks): (bool, &Ranks),
    device: &B::Device,
    watch: &mut dyn Watch,
) -> Result<()> {
    if !prepared.settings.is_exact() {
        return Ok(());
    }
    let can = is_exact_on::<B>(device);
    let what = "whether its device adds exactly (the arithmetic self-check)";
    alike(ranks, &[fact(what, can)])?;
    if can {
        return Ok(());
    }
    if is_resumed {
        refuse!(
            "`arithmetic = exact`: this device rounds fused multiply-adds twice; resume on another `backend`"
        );
    }
    prepared.settings.make_plain();
    watch.note(
        "note: this device rounds fused multiply-adds twice, so steps are not exact: using `arithmetic = plain`",
    );
    Ok(())
}

/// Has the learning rate be a number where it is to be measured: that of the run that is resumed, or a new one. Every rank has the
/// same. With the fit of the norm before the head at which it was measured, if there is one.
pub(super) fn settle_rate<B: RunBackend>(
    prepared: &mut Prepared,
    resumed: Option<&Resumed<'_>>,
    methods: &Methods,
    (ranks, watch): (&Ranks, &mut dyn Watch),
    device: &B::Device,
) -> Result<Option<HeadFit>> {
    let Some(measuring) = prepared.settings.measuring else {
        return Ok(None);
    };
    let (rate, fit) = match resumed {
        Some(run) => (run.header.measured_rate.clone(), None),
        None => {
            let begun = begin::<B>(prepared, None, None, (ranks, &mut *watch), device);
            let Beginning { model, header, .. } = agreed(ranks, begun)?;
            let fit = header.as_ref().and_then(|header| header.head_fit.clone());
            let start = (model, header);
            let found = rate::measure(prepared, start, methods, measuring, (ranks, watch));
            (Some(agreed(ranks, found)?), fit)
        }
    };
    if let Some(rate) = rate {
        prepared.settings.take_rate(rate);
    }
    Ok(fit)
}

fn fact(what: &str, value: impl Display) -> Fact {
    (what.into(), value.to_string())
}

/// What was given and read that has to be the same on all ranks.
pub(super) fn input_facts(prepared: &Prepared) -> Result<Vec<Fact>> {
    let mut facts = vec![
        fact("the version of zograd", env!("CARGO_PKG_VERSION")),
        fact("the version of the noise", noise::VERSION),
    ];
    let settings = prepared.settings.given()?;
    // of files their contents count
    let elsewhere = ["model", "tokenizer", "data", "chat-template"];
    for (key, value) in settings.values() {
        if !WITHOUT_EFFECT.contains(&key.as_str()) && !elsewhere.contains(&key.as_str()) {
            facts.push((format!("`{key}`"), value.to_string()));
        }
    }
    let origin = &prepared.origin;
    facts.extend([
        fact("the model's config.json", &origin.model),
        fact("the task", &origin.task),
        fact("the tokenizer's files", &origin.tokenizer),
        fact("the rows of the data", &origin.rows),
        fact("the prompts", &origin.prompts),
    ]);
    Ok(facts)
}

/// The weights that all ranks have to begin with.
pub(super) fn weight_facts<B: RunBackend>(beginning: &Beginning<B>) -> Vec<Fact> {
    let mut facts = vec![fact("the base weights", &beginning.note.weights)];
    let fit = beginning
        .header
        .as_ref()
        .and_then(|header| header.head_fit.as_ref());
    if let Some(fit) = fit {
        let fitted = serde_json::to_string(fit).unwrap_or_default();
        facts.push(fact("the fit of the norm before the head", fitted));
    }
    if let Some(adapter) = &beginning.adapter {
        facts.push(fact("the adapter it begins with", &adapter.weights));
    }
    facts
}

/// The weights with which all ranks end.
pub(super) fn last_weights(hash: &str) -> [Fact; 1] {
    [fact("the weights after the last step", hash)]
}

/// The weights that all ranks take for the best.
pub(super) fn best_weights(hash: &str) -> [Fact; 1] {
    [fact("the best weights", hash)]
}

/// Loads the weights, and puts beside them what is tuned. The norm before the head is fitted, if it is to be, unless that was
/// done.
pub(super) fn begin<B: RunBackend>(
    prepared: &Prepared,
    resumed: Option<&Resumed<'_>>,
    fit: Option<HeadFit>,
    (ranks, watch): (&Ranks, &mut dyn Watch),
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
    if let Some(run) = resumed {
        check_base(run.header, &note.weights)?;
    }
    let fit = match fit {
        Some(fit) => Some(fit),
        None => head_fit::fit(prepared, &base, resumed, (ranks, watch))?,
    };
    let given = fit.is_some().then(|| base.clone());
    let base = head_fit::fitted(base, fit.as_ref())?;
    let (model, adapter) = start::begin(settings, base, resumed)?;
    let space = ParameterSpace::select(&model, &settings.selection()).or_input()?;
    let mut header = match &settings.procedure {
        Procedure::ZerothOrder(zo) => {
            let still = stands_still(&model, &space, prepared.objective.as_ref());
            let header = settings.header(zo, &space, &note, adapter.clone(), still);
            let rate = settings.measured_rate().cloned();
            Some(header.with_head_fit(fit).with_measured_rate(rate))
        }
        Procedure::Tail(step) => {
            Some(settings.tail_header(*step, &space, &note, adapter.clone())?)
        }
        Procedure::Gradient(_) | Procedure::LinearProbe => None,
    };
    if let Some(header) = &mut header {
        header.note_mask(&model).or_input()?;
    }
    if let (Some(run), Some(header)) = (resumed, &mut header) {
        // the same model may be named otherwise: config.toml has an absolute path
        header.model.clone_from(&run.header.model);
        if run.header != header {
            let steps = run.header.config.steps;
            if steps > header.config.steps {
                refuse!(
                    "`resume = {}`: the run was being made longer: say so again (`steps = {steps}`)",
                    run.run.display()
                );
            }
            refuse!(
                "`resume = {}`: {CONFIG} and {LOG} contradict each other",
                run.run.display()
            );
        }
    }
    Ok(Beginning {
        note,
        model,
        given,
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
            let said = (config.as_str(), prepared.chat_template.as_deref());
            let folder = RunFolder::create(claimed, said, &prepared.rows, &prepared.origin)?;
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
        (Procedure::Tail(step), _) => {
            let start = Start {
                model,
                source,
                device,
            };
            tail::train(start, *step, interrupted, work)?
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

/// What is said of the best weights.
pub(super) struct BestFacts {
    /// Their hash.
    weights: String,
    biases: Vec<f64>,
    shift: Vec<(u32, f64)>,
}

impl BestFacts {
    /// What is said of `kept`, whose options have these biases.
    pub(super) fn of<B: RunBackend>(kept: &Kept<B>, biases: Vec<f64>) -> Self {
        Self {
            weights: tuned_hash(&kept.model),
            shift: kept.shift.clone(),
            biases,
        }
    }

    pub(super) fn weights(&self) -> &str {
        &self.weights
    }

    fn note_in(self, summary: &mut Summary) {
        summary.best_weights = Some(self.weights);
        summary.option_biases = self.biases;
        summary.logit_shift = self.shift;
    }
}

/// The biases of the options with the last weights, where there was no evaluation to fit them for.
pub(super) fn last_biases<B: RunBackend>(
    prepared: &Prepared,
    (model, summary): (&Model<B>, &TrainSummary),
    ranks: &Ranks,
) -> Result<Vec<f64>> {
    if summary.best.is_some() || !prepared.objective.is_calibrated() {
        return Ok(Vec::new());
    }
    let config = &prepared.settings.config;
    let some = bias_examples(&prepared.data.train, config.seed);
    option_biases(ranks, model, &some, config.eval_batch_size, |_| {
        ControlFlow::Continue(())
    })
    .while_running()
}

/// The test score of the best weights, if there was time for it, and what else is said of them.
fn judge<B: RunBackend>(
    prepared: &Prepared,
    (methods, ranks): (&Methods, &Ranks),
    (model, summary): (Model<B>, &TrainSummary),
    recorder: &mut Recorder<'_>,
    device: &B::Device,
) -> Result<(Option<Evaluation>, BestFacts)> {
    let settings = &prepared.settings;
    let storage = settings.machine.storage();
    let (run, log) = (recorder.folder.path().to_owned(), recorder.folder.log());
    let again = |step: u64, watch: &mut dyn Watch| {
        let log = Trajectory::read(&log).while_running()?;
        let records = &log.records[..log.records.len().min(step as usize)];
        let start = &start::start_folder(&run);
        if let Procedure::Tail(step) = settings.procedure {
            let made = (&log.header, records);
            return tail::again::<B>(prepared, step, made, start, device, watch);
        }
        let rebuild = Rebuild {
            model: &prepared.sources.model,
            storage,
            methods,
            start,
            header: &log.header,
            records,
            originals: run.join("best.f32"),
        };
        let Some(scale) = log.header.informed else {
            return rebuild.run::<B>(device, watch);
        };
        let steps = InformedSteps {
            settings,
            objective: prepared.objective.as_ref(),
            examples: prepared.data.examples(&prepared.scoring),
            scale,
            stop: None,
        };
        rebuild.made_by::<B>(device, watch, |model, strategy, progress| {
            let again = steps.again(model, strategy, records, progress);
            again.while_running()
        })
    };
    let biases = last_biases(prepared, (&model, summary), ranks)?;
    let best = recorder.best_model::<B>((model, &biases), summary, storage, device, again);
    let best = best.while_running()?;
    let biases = summary
        .best
        .as_ref()
        .map_or(biases, |best| best.option_biases.clone());
    if !best.beside.is_empty() {
        recorder.watch.note(
            "note: the biases of the options have no place in these weights: they lie beside them, where zograd finds \
             them and others do not",
        );
    }
    let scoring = prepared.scoring.clone().with_biases(best.beside.clone());
    let questions = Questions {
        prompts: &prepared.data.test,
        scoring: &scoring,
        batch_size: settings.config.eval_batch_size,
        stop: Some(ranks.agreed()),
        ranks,
    };
    let facts = BestFacts::of(&best, biases);
    alike(ranks, &best_weights(facts.weights())).while_running()?;
    match score(&best.model, questions, "after", recorder.watch) {
        Err(RunError::Stopped(_)) => Ok((None, facts)),
        after => Ok((Some(after.while_running()?), facts)),
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
pub(super) fn sum_up(
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
        option_biases: Vec::new(),
        logit_shift: Vec::new(),
        best_step: summary.best.as_ref().map(|b| b.step),
        measured_rate: settings.measured_rate().cloned(),
        steps: summary.steps,
        forwards: summary.forwards,
        passes: summary.passes,
        tokens: summary.tokens,
        skipped: summary.skipped,
        flat: summary.flat,
        events: summary.events,
        truncated: cut.iter().sum(),
        seconds: summary.seconds,
        waited: Vec::new(),
        peak_memory_bytes: peak_memory_bytes(),
        weight_bytes,
        state_bytes: match &settings.procedure {
            Procedure::ZerothOrder(zo) => parameters * zo.state_bytes_per_weight as u64,
            _ => 0,
        },
        gain,
        stop: summary.stop,
        paper: prepared.published.clone(),
        settings: serde_json::to_value(settings.given()?.values()).while_running()?,
        run: PathBuf::new(),
    })
}
