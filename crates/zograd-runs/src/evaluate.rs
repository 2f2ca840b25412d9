//! Measuring a model on a task.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Result, refuse};
use crate::folder::{numbers, scores};
use crate::inputs::{self, Calibration, Questions, Sources};
use crate::settings::{EvalOptions, Given, Inputs, Keys, Machine, Measurement, SplitName};
use crate::threads::with_threads;
use crate::watch::Watch;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Instant;
use zograd_models::OptConfig;
use zograd_perturb::Seed;
use zograd_tasks::metrics::Metric;
use zograd_tasks::{Sample, Split, sample_indices};
use zograd_trainer::{Evaluation, Prediction, peak_memory_bytes};

/// What a measurement gave.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EvalReport {
    /// The task in words.
    pub task: String,
    /// The model in words.
    pub model: String,
    /// The adapter it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
    /// How many examples there were.
    pub examples: usize,
    /// How many demonstrations stood before each.
    pub shots: usize,
    /// Rows of the train split that were shown.
    pub demonstrations: Vec<usize>,
    /// What the score is.
    pub metric: Metric,
    /// The scores by the names of their metrics.
    #[serde(flatten)]
    pub scores: Map<String, Value>,
    /// Mean loss, in nats an example.
    pub loss: f64,
    /// Examples with a score or a logit that is not finite.
    pub non_finite: usize,
    /// Prompts that were cut from the left.
    pub truncated: usize,
    /// Seconds it took.
    pub seconds: f64,
    /// Peak resident memory in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

impl Runs {
    /// All settings that a measurement has.
    pub fn measurement_keys() -> Keys {
        Keys::default()
            .and::<Inputs>()
            .and::<Measurement>()
            .and::<EvalOptions>()
            .and::<Machine>()
    }

    /// Measures a model on a task, and writes its predictions if `predictions` names a file.
    ///
    /// # Errors
    /// Wrong input, or a file that cannot be written.
    pub fn measure(&self, mut given: Given, watch: &mut dyn Watch) -> Result<EvalReport> {
        let inputs: Inputs = given.take()?;
        let mut measurement: Measurement = given.take()?;
        let batch_size = given.take::<EvalOptions>()?.batch_size()?;
        let machine = given.take::<Machine>()?.complete()?;
        given.finish(&Self::measurement_keys(), |_| "an evaluation".into())?;
        with_threads(machine.threads, || {
            let sources = Sources::find(&inputs, self.tasks())?;
            if let (None, Some(folder)) = (&measurement.adapter, sources.own_adapter()) {
                watch.note(&format!(
                    "note: {} holds an adapter beside its weights, which is used with them",
                    folder.display()
                ));
                measurement.adapter = Some(folder.to_owned());
            }
            let measuring = Measuring {
                inputs,
                measurement,
                batch_size,
                machine,
                sources,
            };
            measuring.run(watch)
        })
    }
}

/// A measurement whose settings are known.
struct Measuring {
    inputs: Inputs,
    measurement: Measurement,
    batch_size: usize,
    machine: Machine,
    sources: Sources,
}

impl Measuring {
    fn run(self, watch: &mut dyn Watch) -> Result<EvalReport> {
        let (sources, asked) = (&self.sources, &self.measurement);
        let config = OptConfig::from_folder(&sources.model).about("`model`")?;
        let max_length = inputs::max_length(self.inputs.max_length, &config)?;
        if let Some(folder) = &asked.adapter {
            inputs::check_adapter_folder(folder, &config)?;
        }
        let task = sources.task.as_ref();
        let encoder = inputs::encoder(&sources.tokenizer, self.inputs.bos_id, max_length)?;
        let encoder = inputs::with_room(encoder, task, self.inputs.max_new_tokens)?;
        let scoring = inputs::scoring(task, &encoder, &config, asked.beams)?;
        let (samples, shown) = self.draw()?;
        let prompts = inputs::prompts(&encoder, task, &samples, &shown, calibration(asked)?)?;
        inputs::check_ids(&prompts, &config)?;
        if let Some(path) = &asked.predictions {
            check_predictions(path)?;
        }
        inputs::note_truncation(&prompts, shown.len(), watch);

        let start = Instant::now();
        let job = MeasureJob {
            measuring: &self,
            questions: Questions {
                prompts: &prompts,
                scoring: &scoring,
                batch_size: self.batch_size,
                stop: None,
            },
            watch,
        };
        let evaluation = dispatch(self.machine.backend(), job)?;
        if let Some(path) = &asked.predictions {
            write_predictions(path, &evaluation.predictions)
                .about(format!("`predictions = {}`", path.display()))?;
        }
        Ok(EvalReport {
            task: sources.task_name.clone(),
            model: sources.model_name.clone(),
            adapter: asked.adapter.clone(),
            examples: evaluation.examples,
            shots: shown.len(),
            demonstrations: numbers(&shown),
            metric: evaluation.metric,
            scores: scores(&evaluation, ""),
            loss: evaluation.loss,
            non_finite: evaluation.non_finite,
            truncated: inputs::truncated(&prompts),
            seconds: start.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory_bytes(),
        })
    }

    /// The samples to score, in the order of their rows, and those to show before each.
    fn draw(&self) -> Result<(Vec<Sample>, Vec<Sample>)> {
        let (sources, asked) = (&self.sources, &self.measurement);
        let seed = Seed::new(asked.seed.unwrap_or(0));
        let split = Split::from(asked.split.unwrap_or(SplitName::Validation));
        let rows = sources.data.count(split).or_input()?;
        let mut picked = sample_indices(seed.child(1), rows, asked.test_examples.unwrap_or(rows));
        if picked.is_empty() {
            refuse!("`test-examples = 0`: use at least 1");
        }
        picked.sort_unstable();
        let read = |split, numbers: &[usize]| -> Result<Vec<Sample>> {
            let rows = sources.data.rows(split, numbers).or_input()?;
            rows.iter()
                .map(|row| sources.task.sample(row).or_input())
                .collect()
        };
        let shots = match asked.shots.unwrap_or(0) {
            0 => Vec::new(),
            shots => {
                let rows = sources.data.count(Split::Train).or_input()?;
                if shots > rows {
                    refuse!("`shots = {shots}`: the train split has {rows} rows");
                }
                sample_indices(seed.child(0), rows, shots)
            }
        };
        Ok((read(split, &picked)?, read(Split::Train, &shots)?))
    }
}

fn calibration(asked: &Measurement) -> Result<Calibration> {
    match (asked.sfc, asked.icl_sfc) {
        (true, true) => refuse!("`sfc` and `icl-sfc`: give one of them"),
        (true, false) => Ok(Calibration::Sfc),
        (false, true) if asked.shots.unwrap_or(0) == 0 => {
            refuse!("`icl-sfc` needs demonstrations (`shots`); without them it is `sfc`")
        }
        (false, true) => Ok(Calibration::IclSfc),
        (false, false) => Ok(Calibration::None),
    }
}

struct MeasureJob<'a> {
    measuring: &'a Measuring,
    questions: Questions<'a>,
    watch: &'a mut dyn Watch,
}

impl Job for MeasureJob<'_> {
    type Output = Evaluation;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<Evaluation> {
        let machine = &self.measuring.machine;
        let folder = &self.measuring.sources.model;
        let base = inputs::load::<B>(folder, machine.storage(), device).about("`model`")?;
        let model = match &self.measuring.measurement.adapter {
            Some(folder) => inputs::attach(base, folder, machine.storage(), self.watch)?,
            None => base,
        };
        inputs::score(&model, self.questions, "eval", self.watch)
    }
}

/// Refuses a file that exists, or a folder that does not, before any work is done.
fn check_predictions(path: &Path) -> Result<()> {
    let named = path.display();
    if path.exists() {
        refuse!("`predictions = {named}`: the file exists; nothing is written over");
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") && !folder.is_dir() => refuse!(
            "`predictions = {named}`: there is no folder {}",
            folder.display()
        ),
        _ => Ok(()),
    }
}

/// Writes the whole file or none of it.
fn write_predictions(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let mut lines = Vec::new();
    for prediction in predictions {
        serde_json::to_writer(&mut lines, prediction).while_running()?;
        lines.push(b'\n');
    }
    zograd_files::create(path, lines).while_running()
}
