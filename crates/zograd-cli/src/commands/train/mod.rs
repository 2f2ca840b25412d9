//! `zograd train`: fine-tunes, keeps the best weights, reports.

mod gradient;
pub mod interrupted;
mod job;
mod objective;
mod procedure;
mod recorder;
mod report;
mod settings;
mod tune;
mod zeroth_order;

pub use report::kebab;
pub use tune::{start_folder, without_adapter};

use super::eval::{check_ids, check_max_length, set_threads};
use super::replay::check_noise;
use crate::args::{BackendName, MethodName, ObjectiveName, TrainArgs};
use crate::example_rows::ExampleRows;
use crate::inputs::{self, Calibration, Sources};
use crate::output::answer;
use crate::presets::{self, Preset};
use crate::run_folder::RunFolder;
use crate::signals::Stop;
use crate::{answers, backend, config_file};
use anyhow::{Context, Result, bail};
use interrupted::Interrupted;
use job::{Data, TrainJob};
use procedure::Procedure;
use report::Report;
use settings::Settings;
use std::path::Path;
use std::process::ExitCode;
use zograd_models::OptConfig;
use zograd_perturb::Seed;
use zograd_tasks::Splits;
use zograd_trainer::{StopReason, answer_tokens};

/// Fine-tunes a model.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: TrainArgs) -> Result<ExitCode> {
    let (settings, interrupted) = match &args.resume {
        Some(run) => {
            check_alone(run, &args)?;
            let (settings, interrupted) = reopen(run, args.threads)?;
            (settings, Some(interrupted))
        }
        None => {
            let file = match &args.config {
                Some(file) => config_file::overlay(&args, file)?,
                None => args.clone(),
            };
            (presets::complete(file)?, None)
        }
    };
    let settings = TrainArgs {
        json: args.json,
        ..settings
    };
    set_threads(settings.threads)?;
    let stop = Stop::on_signal()?;
    let report = start(&settings, interrupted, &stop)?;
    if args.json {
        answer(serde_json::to_string(&report)?)?;
    } else {
        report::print_report(&report)?;
    }
    Ok(match report.stop {
        StopReason::Finished => ExitCode::SUCCESS,
        StopReason::Guard => ExitCode::from(1),
        StopReason::Interrupted => stop.exit_code(),
    })
}

/// Runs these settings to the end, or until `stop` is raised, and leaves a run folder.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn begin(settings: &TrainArgs, stop: &Stop) -> Result<()> {
    start(settings, None, stop).map(drop)
}

/// Goes on with the run in this folder to the end, or until `stop` is raised.
///
/// # Errors
/// A folder without a run that can be gone on with, or something that failed while running.
pub fn resume(run: &Path, stop: &Stop) -> Result<()> {
    let (settings, interrupted) = reopen(run, None)?;
    start(&settings, Some(interrupted), stop).map(drop)
}

/// These settings with all defaults filled in, if they are possible, as far as can be told without reading anything.
///
/// # Errors
/// The first that is not.
pub fn check(settings: &TrainArgs) -> Result<TrainArgs> {
    Ok(Settings::resolve(settings)?.resolved)
}

/// Refuses flags that do not go with `--resume`.
fn check_alone(run: &Path, args: &TrainArgs) -> Result<()> {
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
    Ok(())
}

/// The settings of an interrupted run, and what it has done.
fn reopen(run: &Path, threads: Option<usize>) -> Result<(TrainArgs, Interrupted)> {
    let config = run.join("config.toml");
    let threads = TrainArgs {
        threads,
        ..TrainArgs::default()
    };
    let settings = TrainArgs {
        out: Some(run.to_path_buf()),
        ..config_file::overlay(&threads, &config).context("--resume: this folder holds no run")?
    };
    if let Some(method @ (MethodName::Adam | MethodName::AdamW | MethodName::LinearProbing)) =
        settings.method
    {
        interrupted::check_unfinished(run)?;
        bail!(
            "--resume {}: a run of {} keeps no log and is not gone on with; start it again with --config {}",
            run.display(),
            kebab(&method),
            config.display()
        );
    }
    let evaluates = settings.dev_examples != Some(0);
    let interrupted = Interrupted::read(run, evaluates)?;
    check_noise(interrupted.header()).context("--resume")?;
    Ok((settings, interrupted))
}

/// Trains from the beginning, or from where a run was interrupted.
fn start(args: &TrainArgs, interrupted: Option<Interrupted>, stop: &Stop) -> Result<Report> {
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
    tune::check(settings.adapter.as_ref(), &config)?;
    settings.resolved.max_length = Some(max_length);
    let task = sources.task.as_ref();
    let encoder = inputs::encoder(&sources.tokenizer, args.bos_id, max_length)?;
    let encoder = answers::with_room(encoder, task, args.max_new_tokens)?;
    let scoring = answers::scoring(task, &encoder, &config, None)?;
    if scoring.writer().is_some() {
        settings.resolved.max_new_tokens = Some(encoder.max_new_tokens());
    }
    let objective = objective::resolve(args.objective.unwrap_or_default(), task)?;
    let objective = match &settings.procedure {
        Procedure::Probe => ObjectiveName::TeacherForcing,
        Procedure::Gradient(_) | Procedure::ZerothOrder(_) => objective,
    };
    if !matches!(settings.procedure, Procedure::Probe) {
        settings.resolved.objective = Some(objective);
    }
    let splits = Splits::load(
        task,
        &sources.data,
        settings.sizes,
        Seed::new(settings.config.seed),
    )?;
    let encode = |samples: &[_]| inputs::prompts(&encoder, task, samples, &[], Calibration::None);
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
    if matches!(settings.procedure, Procedure::Probe) {
        answer_tokens(&data.train)?;
    }
    let out = match &args.out {
        Some(path) => path.clone(),
        None => RunFolder::free(&format!("{}-{}", sources.task_name, settings.method_name)),
    };
    if interrupted.is_none() {
        RunFolder::check(&out)?;
    }

    let rows = ExampleRows::new(settings.config.seed, &splits);
    let published = match &args.preset {
        Some(name) => Some(Preset::named(name)?.published(&settings.resolved)?),
        None => None,
    };
    let job = TrainJob {
        objective: objective::build(objective),
        scoring,
        settings,
        sources,
        data,
        rows,
        counts: splits.counts,
        out,
        interrupted,
        published,
        stop: stop.clone(),
        quiet: args.json,
    };
    backend::dispatch(args.backend.unwrap_or(BackendName::Ndarray), job)
}
