//! `zograd train`: fine-tunes, keeps the best weights, reports.

use super::eval::{
    check_ids, check_max_length, load, note_truncation, score, set_threads, truncated,
};
use super::replay::{check_base, check_noise};
use super::resume::{Interrupted, checkpoint_folder, checkpoints};
use crate::args::{BackendName, DtypeName, MethodName, TrainArgs};
use crate::backend::{self, Job, TrainBackend};
use crate::failure::WhileRunning;
use crate::inputs::{self, Sources};
use crate::output::{answer, say};
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::{config_file, plot};
use anyhow::{Context, Result, bail};
use burn::tensor::DType;
use serde::Serialize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::{Opt, OptConfig, content_hash};
use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Seed, Selection, noise};
use zograd_select::{Method, Strategy};
use zograd_tasks::{Prompt, SplitCounts, SplitSizes, Splits};
use zograd_trainer::trajectory::{
    FORMAT_VERSION, Header, Record, TrajectoryWriter, remember, replay,
};
use zograd_trainer::{
    Classification, EvalRecord, Evaluation, Examples, Observer, Schedule, StepRecord, StopReason,
    TrainConfig, TrainError, TrainSummary, peak_memory_bytes, train_from,
};

/// Fine-tunes a model.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: TrainArgs) -> Result<ExitCode> {
    if let Some(run) = &args.resume {
        return resume(run, &args);
    }
    let args = match &args.config {
        Some(file) => TrainArgs {
            config: None,
            json: args.json,
            ..config_file::overlay(&args, file)?
        },
        None => args,
    };
    start(&args, None)
}

/// Goes on with the run in this folder.
fn resume(run: &Path, args: &TrainArgs) -> Result<ExitCode> {
    let alone = TrainArgs {
        resume: args.resume.clone(),
        threads: args.threads,
        json: args.json,
        ..TrainArgs::default()
    };
    if format!("{alone:?}") != format!("{args:?}") {
        bail!(
            "--resume: a run goes on with the settings it had ({}); only --threads and --json go with it",
            run.join("config.toml").display()
        );
    }
    let config = run.join("config.toml");
    let threads = TrainArgs {
        threads: args.threads,
        ..TrainArgs::default()
    };
    let settings = TrainArgs {
        config: None,
        json: args.json,
        out: Some(run.to_path_buf()),
        ..config_file::overlay(&threads, &config).context("--resume: this folder holds no run")?
    };
    let evaluates = settings.dev_examples != Some(0);
    let interrupted = Interrupted::read(run, evaluates)?;
    check_noise(interrupted.header()).context("--resume")?;
    start(&settings, Some(interrupted))
}

/// Trains from the beginning, or from where a run was interrupted.
fn start(args: &TrainArgs, interrupted: Option<Interrupted>) -> Result<ExitCode> {
    set_threads(args.threads)?;
    let mut settings = Settings::resolve(args)?;
    let sources = Sources::find(
        args.model.as_deref(),
        args.tokenizer.as_deref(),
        args.task.as_deref(),
        args.data.as_deref(),
    )?;
    let config = OptConfig::from_folder(&sources.model).context("--model")?;
    let max_length = args.max_length.unwrap_or(config.max_position_embeddings);
    check_max_length(max_length, &config)?;
    settings.resolved.max_length = Some(max_length);
    let encoder = inputs::encoder(&sources.tokenizer, args.bos_id, max_length)?;
    let splits = Splits::load(
        sources.task,
        &sources.data,
        settings.sizes,
        Seed::new(settings.config.seed),
    )?;
    let encode = |samples: &[_]| inputs::prompts(&encoder, sources.task, samples, &[]);
    let data = Data {
        train: encode(&splits.train)?,
        dev: encode(&splits.dev)?,
        test: encode(&splits.test)?,
    };
    for prompts in [&data.train, &data.dev, &data.test] {
        check_ids(prompts, &config)?;
    }
    if data.train.is_empty() {
        bail!("--train-examples 0: use at least 1");
    }
    let out = match &args.out {
        Some(path) => path.clone(),
        None => RunFolder::free(&format!("{}-{}", sources.task_name, settings.method_name)),
    };
    if interrupted.is_none() {
        RunFolder::check(&out)?;
    }

    let json = args.json;
    let job = TrainJob {
        settings,
        sources,
        data,
        counts: splits.counts,
        out,
        interrupted,
        stop: stop_on_signal()?,
        quiet: json,
    };
    let report = backend::dispatch(args.backend.unwrap_or(BackendName::Ndarray), job)?;
    if json {
        answer(serde_json::to_string(&report)?)?;
    } else {
        print_report(&report)?;
    }
    Ok(match report.stop {
        StopReason::Finished => ExitCode::SUCCESS,
        StopReason::Interrupted => ExitCode::from(130),
    })
}

/// Everything that was decided before the run: flags, file and defaults together.
struct Settings {
    /// As it is written into the run's config.toml: `zograd train --config` runs the same again.
    resolved: TrainArgs,
    method: Method,
    method_name: String,
    config: TrainConfig,
    sizes: SplitSizes,
    noise: NoiseKind,
    eps: f64,
    dtype: DType,
}

impl Settings {
    fn resolve(args: &TrainArgs) -> Result<Self> {
        let mut r = args.clone();
        let embedded = args.model.is_none() && args.task.is_none();
        let method_name = *r.method.get_or_insert(MethodName::Gv);
        let pooled = matches!(
            method_name,
            MethodName::Gv | MethodName::Greedy | MethodName::PoolRegression
        );
        let pool = r.pool.unwrap_or(4);
        if pooled {
            r.pool = Some(pool);
        } else if args.pool.is_some() {
            bail!("--pool: the method {} has no pool", kebab(&method_name));
        }
        let alpha = r.alpha.unwrap_or(0.5);
        if method_name == MethodName::Gv {
            r.alpha = Some(alpha);
        } else if args.faithful_cost {
            bail!("--faithful-cost: only the method gv has it");
        } else if args.alpha.is_some() {
            bail!("--alpha: only the method gv has it");
        }
        let queries = r.queries.unwrap_or(2);
        if method_name == MethodName::NSpsa {
            r.queries = Some(queries);
        } else if args.queries.is_some() {
            bail!("--queries: only the method n-spsa has it");
        }
        let method = match method_name {
            MethodName::Mezo => Method::Mezo,
            MethodName::NSpsa => Method::NSpsa { queries },
            MethodName::Gv => Method::Gv {
                pool,
                alpha,
                faithful_cost: args.faithful_cost,
            },
            MethodName::GvHistory => Method::GvHistory,
            MethodName::Greedy => Method::Greedy { pool },
            MethodName::PoolRegression => Method::PoolRegression { pool },
        };
        let per_step = method.build()?.forwards() as u64;
        let steps = match (args.steps, args.forwards) {
            (Some(steps), _) => steps,
            (None, Some(forwards)) => forwards / per_step,
            (None, None) if embedded => EMBEDDED_FORWARDS / per_step,
            (None, None) => 1000,
        };
        if steps == 0 {
            match args.forwards {
                Some(n) => {
                    bail!("--forwards {n}: one step of this method takes {per_step} forwards")
                }
                None => bail!("--steps 0: use at least 1"),
            }
        }
        (r.steps, r.forwards) = (Some(steps), None);
        let eps = *r.eps.get_or_insert(1e-3);
        if !EPS.contains(&eps) {
            bail!("--eps {eps}: the perturbation scale must be above 0 and at most 1; try 1e-3");
        }
        let lr = *r
            .lr
            .get_or_insert(if embedded { EMBEDDED_LR } else { 1e-6 });
        let positive = |name: &str, value: usize| match value {
            0 => bail!("--{name} 0: use at least 1"),
            n => Ok(n),
        };
        let sizes = SplitSizes {
            train: positive("train-examples", *r.train_examples.get_or_insert(1000))?,
            dev: *r
                .dev_examples
                .get_or_insert(if embedded { 200 } else { 500 }),
            test: positive(
                "test-examples",
                *r.test_examples
                    .get_or_insert(if embedded { 500 } else { 1000 }),
            )?,
            demonstrations: 0,
        };
        let config = TrainConfig {
            steps,
            lr,
            schedule: *r.schedule.get_or_insert(Schedule::Constant),
            weight_decay: *r.weight_decay.get_or_insert(0.0),
            batch_size: positive("batch-size", *r.batch_size.get_or_insert(16))?,
            seed: *r.seed.get_or_insert(0),
            eval_every: *r.eval_every.get_or_insert(steps.div_ceil(10)),
            eval_batch_size: positive("eval-batch-size", *r.eval_batch_size.get_or_insert(32))?,
        };
        config.check()?;
        let backend = *r.backend.get_or_insert(BackendName::Ndarray);
        let dtype = backend::dtype(backend, *r.dtype.get_or_insert(DtypeName::F32))?;
        let noise = *r.noise.get_or_insert(NoiseKind::Gaussian);
        Ok(Self {
            method,
            method_name: kebab(&method_name),
            config,
            sizes,
            noise,
            eps,
            dtype,
            resolved: TrainArgs {
                model: r.model.map(absolute_if_folder),
                tokenizer: r.tokenizer.map(absolute),
                data: r.data.map(absolute),
                out: None,
                ..r
            },
        })
    }
}

impl Settings {
    /// What the log says of the run.
    fn header(&self, sources: &Sources, space: &ParameterSpace, weights: String) -> Header {
        Header {
            format: FORMAT_VERSION,
            model: sources.model_name.clone(),
            weights,
            dtype: kebab(&self.resolved.dtype),
            dimension: space.dimension(),
            selection: Selection::All,
            noise: self.noise,
            noise_version: noise::VERSION,
            eps: self.eps,
            method: self.method,
            config: self.config.clone(),
        }
    }
}

/// Perturbation scales that make sense: smaller ones drown in the rounding of f32, larger ones drown the weights.
const EPS: RangeInclusive<f64> = 1e-12..=1.0;

/// Forward passes of the built-in run: about a minute on two cores.
const EMBEDDED_FORWARDS: u64 = 4800;
/// Learning rate of the built-in run, chosen for a curve that can be watched: 1e-4 is faster, 1e-3 diverges.
const EMBEDDED_LR: f64 = 2e-5;

/// A path that means the same from any folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The same for `--model`, which may also be the name of a model on the hub.
fn absolute_if_folder(model: String) -> String {
    if Path::new(&model).is_dir() {
        absolute(model.into()).display().to_string()
    } else {
        model
    }
}

/// An enum's name as a flag's value.
fn kebab(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|v| v.as_str().map(String::from))
        .unwrap_or_default()
}

struct Data {
    train: Vec<Prompt>,
    dev: Vec<Prompt>,
    test: Vec<Prompt>,
}

/// What `summary.json` and `--json` say.
#[derive(Serialize)]
struct Report {
    model: String,
    task: String,
    method: String,
    backend: String,
    dtype: String,
    parameters: u64,
    counts: SplitCounts,
    accuracy_before: f64,
    accuracy_after: f64,
    loss_before: f64,
    loss_after: f64,
    best_step: Option<u64>,
    best_dev_accuracy: Option<f64>,
    steps: u64,
    forwards: u64,
    passes: u64,
    tokens: u64,
    skipped: u64,
    flat: u64,
    truncated: usize,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
    weight_bytes: u64,
    stop: StopReason,
    run: PathBuf,
}

fn announce(settings: &Settings, sources: &Sources, counts: &SplitCounts) {
    let c = &settings.config;
    say(format_args!(
        "{} on {}: {}, {} steps, lr {:e}, eps {:e}, batch {}; {} train, {} dev, {} test examples",
        sources.model_name,
        sources.task_name,
        settings.method_name,
        c.steps,
        c.lr,
        settings.eps,
        c.batch_size,
        counts.train.got,
        counts.dev.got,
        counts.test.got,
    ));
    for (kind, count) in counts.short() {
        say(format_args!(
            "note: asked for {} {kind} examples, the data has {}",
            count.asked, count.got
        ));
    }
}

/// Prints what a person wants to know of a run.
fn print_report(r: &Report) -> std::io::Result<()> {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    answer(format_args!(
        "test accuracy  {:.4} -> {:.4}",
        r.accuracy_before, r.accuracy_after
    ))?;
    answer(format_args!(
        "test loss      {:.4} -> {:.4}",
        r.loss_before, r.loss_after
    ))?;
    answer(format_args!(
        "method         {}, {} steps, {} forward passes, no backward pass",
        r.method, r.steps, r.forwards
    ))?;
    if let (Some(step), Some(accuracy)) = (r.best_step, r.best_dev_accuracy) {
        answer(format_args!(
            "best weights   step {step}, development accuracy {accuracy:.4}"
        ))?;
    }
    if r.skipped > 0 {
        answer(format_args!(
            "skipped        {} updates, because of non-finite losses; lower --lr or --eps",
            r.skipped
        ))?;
    }
    if r.flat > 0 {
        answer(format_args!(
            "flat           {} steps measured a slope of exactly 0; raise --eps, or use --dtype f32",
            r.flat
        ))?;
    }
    answer(format_args!(
        "time           {:.1} s of training",
        r.seconds
    ))?;
    if let Some(peak) = r.peak_memory_bytes {
        answer(format_args!(
            "memory         {:.0} MiB at most, weights {:.1} MiB",
            mib(peak),
            mib(r.weight_bytes)
        ))?;
    }
    answer(format_args!("run            {}", r.run.display()))
}

struct TrainJob {
    settings: Settings,
    sources: Sources,
    data: Data,
    counts: SplitCounts,
    out: PathBuf,
    interrupted: Option<Interrupted>,
    stop: Arc<AtomicBool>,
    /// No words about what is going to be done.
    quiet: bool,
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
                let log = TrajectoryWriter::create(&folder.log(), header.clone())?;
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
        let mut recorder = Recorder::new(folder, log, &sources, settings.config.steps);
        let mut summary = TrainSummary::beginning();
        let mut model = match &interrupted {
            None => Perturbed::new(model, space, settings.noise, settings.eps)?,
            Some(run) => {
                summary = run.summary();
                recorder.steps = run.steps.clone();
                recorder.evals = run.evals.clone();
                recorder.set_progress(summary.steps);
                go_on(run, model, space, strategy.as_mut(), &settings, device)?
            }
        };
        let summary = fit(
            &mut model,
            strategy.as_mut(),
            &data,
            &settings,
            &mut recorder,
            (summary, &stop),
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

fn fit<B: TrainBackend>(
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

/// Writes what happens into the run folder and shows it.
struct Recorder {
    folder: RunFolder,
    log: TrajectoryWriter,
    tokenizer: PathBuf,
    title: String,
    progress: Option<Progress>,
    steps: Vec<StepRecord>,
    evals: Vec<EvalRecord>,
}

impl Recorder {
    fn new(folder: RunFolder, log: TrajectoryWriter, sources: &Sources, steps: u64) -> Self {
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
    fn finish(&mut self) -> Result<()> {
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

    /// Shows the steps that are done already.
    fn set_progress(&mut self, steps: u64) {
        if let Some(progress) = &mut self.progress {
            progress.set(steps, String::new);
        }
    }

    /// Keeps the weights, so that a run that is gone on with need not walk all the way from the start. A
    /// failure is told and survived: the checkpoint before is still there, and the log is enough.
    fn checkpoint<B: TrainBackend>(&mut self, model: &Opt<B>, step: u64) {
        let folder = checkpoint_folder(self.folder.path(), step);
        let partial = self.folder.path().join("checkpoint.partial");
        let save = || -> Result<()> {
            if partial.exists() {
                std::fs::remove_dir_all(&partial)?;
            }
            zograd_models::save_pretrained(model, model.config(), None, &partial)?;
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
    fn remove_checkpoints(&self, but: Option<u64>) {
        for (step, folder) in checkpoints(self.folder.path()) {
            if Some(step) != but {
                // one that stays costs space only
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }

    fn save<B: TrainBackend>(&self, model: &Opt<B>) -> Result<()> {
        let (config, tokenizer) = (model.config(), Some(self.tokenizer.as_path()));
        Ok(zograd_models::save_pretrained(
            model,
            config,
            tokenizer,
            &self.folder.best(),
        )?)
    }

    /// The test score of the best weights, which are the last ones or lie in `best/`.
    fn test_best<B: TrainBackend>(
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
        self.folder
            .record("step", record)
            .map_err(|e| observer_error(e.into()))?;
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
        self.folder
            .record("eval", record)
            .map_err(|e| observer_error(e.into()))?;
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

/// The weights and the memory of the strategy after the whole steps of an interrupted run: from its newest
/// checkpoint, or from the start weights if that is lost.
fn go_on<B: TrainBackend>(
    run: &Interrupted,
    base: Opt<B>,
    space: ParameterSpace,
    strategy: &mut dyn Strategy,
    settings: &Settings,
    device: &B::Device,
) -> Result<Perturbed<B, Opt<B>>> {
    let mut base = Some(base);
    let checkpoint = run.checkpoint().and_then(|(step, folder)| {
        let model = load::<B>(&folder, settings.dtype, device);
        match model {
            Ok(model) => Some((step, model)),
            Err(error) => {
                say(format_args!(
                    "note: {error:#}; walking from the start weights instead"
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
    let mut model = Perturbed::new(module, space, settings.noise, settings.eps)?;
    let mut progress = Progress::new("replay", after.len() as u64);
    replay(&mut model, strategy, run.header(), after, |step| {
        progress.set(step - before.len() as u64, String::new);
    })?;
    progress.finish();
    Ok(model)
}

fn observer_error(error: anyhow::Error) -> TrainError {
    TrainError::Observer(error.into())
}

/// A flag that Ctrl-C and SIGTERM raise; a second one ends the process at once.
fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        say("\nfinishing the step and saving; once more to stop at once");
    })?;
    Ok(stop)
}
