//! `zograd eval`: accuracy and predictions.

use crate::args::{BackendName, DtypeName, EvalArgs};
use crate::backend::{self, Job, TrainBackend};
use crate::example_rows::numbers;
use crate::inputs::{self, Calibration, Sources};
use crate::output::{answer, say};
use crate::progress::Progress;
use crate::{answers, commands::adapter, commands::prompts::split, config_file};
use anyhow::{Context, Result, bail};
use burn::tensor::DType;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use zograd_models::{LoadOptions, Opt, OptConfig};
use zograd_perturb::Seed;
use zograd_tasks::metrics::Metric;
use zograd_tasks::{EncodedCandidate, Prompt, Sample, Split, sample_indices};
use zograd_trainer::{Evaluation, Prediction, Scoring, evaluate, peak_memory_bytes};

/// Measures a model on a task.
///
/// # Errors
/// Wrong input, or a file that cannot be written.
pub fn run(args: EvalArgs) -> Result<ExitCode> {
    let args = match &args.config {
        Some(file) => EvalArgs {
            config: None,
            json: args.json,
            ..config_file::overlay(&args, file)?
        },
        None => args,
    };
    set_threads(args.threads)?;
    let backend_name = args.backend.unwrap_or(BackendName::Ndarray);
    let dtype = backend::dtype(backend_name, args.dtype.unwrap_or(DtypeName::F32))?;
    let sources = Sources::find(
        args.model.as_deref(),
        args.tokenizer.as_deref(),
        args.task.as_deref(),
        args.data.as_deref(),
    )?;
    let config = OptConfig::from_folder(&sources.model).context("--model")?;
    let max_length = args.max_length.unwrap_or(config.max_position_embeddings);
    check_max_length(max_length, &config)?;
    if let Some(folder) = &args.adapter {
        adapter::check(folder, &config)?;
    }
    let task = sources.task.as_ref();
    let encoder = inputs::encoder(&sources.tokenizer, args.bos_id, max_length)?;
    let encoder = answers::with_room(encoder, task, args.max_new_tokens)?;
    let scoring = answers::scoring(task, &encoder, &config, args.beams)?;
    let (samples, shown) = draw(&args, &sources)?;
    let calibration = calibration(&args)?;
    let prompts = inputs::prompts(&encoder, task, &samples, &shown, calibration)?;
    check_ids(&prompts, &config)?;
    let batch_size = args.eval_batch_size.unwrap_or(32);
    if !(1..=65536).contains(&batch_size) {
        bail!("--eval-batch-size {batch_size}: use 1 to 65536");
    }
    if let Some(path) = &args.predictions {
        check_predictions(path)?;
    }
    note_truncation(&prompts, shown.len());

    let start = Instant::now();
    let job = EvalJob {
        folder: &sources.model,
        adapter: args.adapter.as_deref(),
        dtype,
        prompts: &prompts,
        scoring: &scoring,
        batch_size,
    };
    let evaluation = backend::dispatch(backend_name, job)?;
    if let Some(path) = &args.predictions {
        write_predictions(path, &evaluation.predictions)
            .with_context(|| format!("--predictions {}", path.display()))?;
    }
    let report = Report {
        task: &sources.task_name,
        model: &sources.model_name,
        adapter: args.adapter.as_deref(),
        examples: evaluation.examples,
        shots: shown.len(),
        demonstrations: numbers(&shown),
        metric: evaluation.metric,
        scores: scores(&evaluation, ""),
        loss: evaluation.loss,
        non_finite: evaluation.non_finite,
        truncated: truncated(&prompts),
        seconds: start.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
    };
    if report.non_finite > 0 {
        say(format_args!(
            "note: {} examples have scores or logits that are not finite and count as wrong",
            report.non_finite
        ));
    }
    if args.json {
        answer(serde_json::to_string(&report)?)?;
    } else {
        answer(format_args!(
            "{}{} on {}: {} ({} examples), loss {:.4}, {:.1} s",
            report.model,
            if report.adapter.is_some() {
                " with its adapter"
            } else {
                ""
            },
            report.task,
            in_words(&evaluation),
            report.examples,
            report.loss,
            report.seconds
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Report<'a> {
    task: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter: Option<&'a Path>,
    examples: usize,
    shots: usize,
    /// Rows of the train split that were shown.
    demonstrations: Vec<usize>,
    metric: Metric,
    #[serde(flatten)]
    scores: Map<String, Value>,
    loss: f64,
    /// Examples with a score or a logit that is not finite.
    non_finite: usize,
    /// Prompts that were cut from the left.
    truncated: usize,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

/// The scores of an evaluation by their names in JSON, which end with `suffix`.
pub fn scores(evaluation: &Evaluation, suffix: &str) -> Map<String, Value> {
    let named = |metric: Metric, score: f64| (format!("{}{suffix}", metric.key()), score.into());
    let exact = evaluation
        .exact_match
        .map(|score| named(Metric::ExactMatch, score));
    let own = named(evaluation.metric, evaluation.score);
    // for a task scored by exact match both are the same
    [Some(own), exact].into_iter().flatten().collect()
}

/// The scores of an evaluation for people.
fn in_words(evaluation: &Evaluation) -> String {
    let own = format!("{} {:.4}", evaluation.metric, evaluation.score);
    match evaluation.exact_match {
        Some(exact) if evaluation.metric != Metric::ExactMatch => {
            format!("{own}, {} {exact:.4}", Metric::ExactMatch)
        }
        _ => own,
    }
}

fn calibration(args: &EvalArgs) -> Result<Calibration> {
    match (args.sfc, args.icl_sfc) {
        (true, true) => bail!("--sfc and --icl-sfc: give one of them"),
        (true, false) => Ok(Calibration::Sfc),
        (false, true) if args.shots.unwrap_or(0) == 0 => {
            bail!("--icl-sfc needs demonstrations (--shots); without them it is --sfc")
        }
        (false, true) => Ok(Calibration::IclSfc),
        (false, false) => Ok(Calibration::None),
    }
}

/// The samples to score, in the order of their rows, and those to show before each.
fn draw(args: &EvalArgs, sources: &Sources) -> Result<(Vec<Sample>, Vec<Sample>)> {
    let seed = Seed::new(args.seed.unwrap_or(0));
    let split = split(args.split.unwrap_or_default());
    let rows = sources.data.count(split)?;
    let mut picked = sample_indices(seed.child(1), rows, args.test_examples.unwrap_or(rows));
    if picked.is_empty() {
        bail!("--test-examples 0: use at least 1");
    }
    picked.sort_unstable();
    let read = |split, numbers: &[usize]| -> Result<Vec<Sample>> {
        let rows = sources.data.rows(split, numbers)?;
        rows.iter()
            .map(|row| Ok(sources.task.sample(row)?))
            .collect()
    };
    let shots = match args.shots.unwrap_or(0) {
        0 => Vec::new(),
        shots => {
            let rows = sources.data.count(Split::Train)?;
            if shots > rows {
                bail!("--shots {shots}: the train split has {rows} rows");
            }
            sample_indices(seed.child(0), rows, shots)
        }
    };
    Ok((read(split, &picked)?, read(Split::Train, &shots)?))
}

struct EvalJob<'a> {
    folder: &'a Path,
    adapter: Option<&'a Path>,
    dtype: DType,
    prompts: &'a [Prompt],
    scoring: &'a Scoring,
    batch_size: usize,
}

impl Job for EvalJob<'_> {
    type Output = Evaluation;

    fn run<B: TrainBackend>(self, device: &B::Device) -> Result<Evaluation> {
        let base = load::<B>(self.folder, self.dtype, device)?;
        let model = match self.adapter {
            Some(folder) => adapter::attach(base, folder)?,
            None => base,
        };
        score(&model, self.prompts, self.scoring, self.batch_size, "eval")
    }
}

/// Loads the weights of a model folder.
///
/// # Errors
/// Files that are missing, damaged, or of another shape than config.json says.
pub fn load<B: TrainBackend>(folder: &Path, dtype: DType, device: &B::Device) -> Result<Opt<B>> {
    let (model, _) = Opt::load(folder, &LoadOptions { dtype }, device).context("--model")?;
    Ok(model)
}

/// Evaluates with a progress bar called `what`.
///
/// # Errors
/// Prompts the model cannot score.
pub fn score<B: TrainBackend>(
    model: &Opt<B>,
    prompts: &[Prompt],
    scoring: &Scoring,
    batch_size: usize,
    what: &'static str,
) -> Result<Evaluation> {
    let mut progress = Progress::new(what, prompts.len() as u64);
    let evaluation = evaluate(model, prompts, scoring, batch_size, |done| {
        progress.set(done as u64, String::new);
    })?;
    progress.finish();
    Ok(evaluation)
}

/// Limits the threads of everything that computes.
///
/// # Errors
/// Zero threads.
pub fn set_threads(threads: Option<usize>) -> Result<()> {
    match threads {
        Some(n) if !(1..=1024).contains(&n) => bail!("--threads {n}: use 1 to 1024"),
        Some(n) => Ok(rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build_global()?),
        None => Ok(()),
    }
}

/// Refuses prompts longer than the model's position table.
///
/// # Errors
/// A length out of range.
pub fn check_max_length(max_length: usize, config: &OptConfig) -> Result<()> {
    let limit = config.max_position_embeddings;
    if max_length < 2 || max_length > limit {
        bail!("--max-length {max_length}: the model has {limit} positions; use 2 to {limit}");
    }
    Ok(())
}

/// Refuses token ids the model has no row for.
///
/// # Errors
/// Such an id.
pub fn check_ids(prompts: &[Prompt], config: &OptConfig) -> Result<()> {
    let sequences = prompts.iter().flat_map(sequences);
    let largest = sequences.flat_map(|c| &c.ids).max().copied().unwrap_or(0);
    if largest as usize >= config.vocab_size {
        bail!(
            "the tokenizer gives token id {largest}, but the model's vocabulary has {} entries; use the \
             tokenizer the model was trained with (--tokenizer, --bos-id)",
            config.vocab_size
        );
    }
    Ok(())
}

/// Every token sequence of a prompt.
fn sequences(prompt: &Prompt) -> impl Iterator<Item = &EncodedCandidate> {
    let question = prompt.question.iter().map(|question| &question.prompt);
    let scored = prompt.candidates.iter().chain(&prompt.calibration);
    scored.chain(question)
}

/// How many prompts were cut to the maximum length.
pub fn truncated(prompts: &[Prompt]) -> usize {
    let is_cut = |p: &&Prompt| sequences(p).any(|c| c.truncated > 0);
    prompts.iter().filter(is_cut).count()
}

/// Says so if prompts, each with this many demonstrations, were cut.
pub fn note_truncation(prompts: &[Prompt], shots: usize) {
    let (cut, all) = (truncated(prompts), prompts.len());
    if cut > 0 {
        say(format_args!(
            "note: {cut} of {all} prompts are too long and were cut from the left{} (--max-length)",
            match shots {
                0 => "",
                _ => ", so that demonstrations are missing",
            }
        ));
    }
}

/// Refuses a file that exists, or a folder that does not, before any work is done.
fn check_predictions(path: &Path) -> Result<()> {
    if path.exists() {
        bail!(
            "--predictions {}: the file exists; nothing is written over",
            path.display()
        );
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") && !folder.is_dir() => {
            bail!(
                "--predictions {}: there is no folder {}",
                path.display(),
                folder.display()
            )
        }
        _ => Ok(()),
    }
}

/// Writes the whole file or none of it.
fn write_predictions(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let mut out = BufWriter::new(&mut file);
    for prediction in predictions {
        serde_json::to_writer(&mut out, prediction)?;
        writeln!(out)?;
    }
    out.flush()?;
    drop(out);
    file.persist_noclobber(path)?;
    Ok(())
}
