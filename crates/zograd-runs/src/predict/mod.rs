//! Answering rows: a label with its probabilities, or a text, for each, in their order.

mod answered;
mod columns;
mod parquet_table;
mod table;
mod unfinished;

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Result, refuse};
use crate::folder::{Hash, OptionBiases};
use crate::inputs::{self, Asked, Calibration, ModelSource, Reading, TaskSource};
use crate::predictions;
use crate::ranks::{alike, ended, from_first};
use crate::settings::{Columns, EvalOptions, Given, Inputs, Keys, Machine, PredictOptions};
use crate::threads::with_threads;
use crate::watch::Watch;
use crate::words::count;
use answered::{Line, Names};
use serde::Serialize;
use serde_json::Value;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;
use table::TableFormat;
use unfinished::Unfinished;
use zograd_models::{Model, ModelConfig, content_hash};
use zograd_ranks::{Incoming, Outgoing, Ranks};
use zograd_tasks::{DataError, PromptEncoder, Row, Sample, Split};
use zograd_trainer::{Scoring, evaluate_on};

/// Rows that are in memory at a time.
const CHUNK: usize = 4096;

/// Rows that are answered before they are written down, at least.
const BLOCK: usize = 64;

/// A text that tokenizers make different tokens of.
const PROBE: &str = "The quick brown fox, 12345 (na\u{ef}ve).\n\n\u{4f60}";

/// What errors of rows call null.
const NULL: &str = "null";

/// The split that rows to answer are.
const ROWS: Split = Split::Validation;

/// What came of answering rows.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Predicted {
    /// The model in words.
    pub model: String,
    /// The adapter it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
    /// The task in words.
    pub task: String,
    /// Where the answers are.
    pub out: PathBuf,
    /// How many rows there are.
    pub rows: usize,
    /// How many of them were answered before, by a command that was interrupted.
    pub before: usize,
    /// Rows without anything to answer: their prediction is empty.
    pub blank: usize,
    /// Answers that are not finite: their prediction is empty.
    pub non_finite: usize,
    /// Prompts that were cut from the left.
    pub truncated: usize,
    /// Seconds that answering took, loading not counted.
    pub seconds: f64,
    /// Rows a second.
    pub rows_per_second: f64,
}

impl Runs {
    /// All settings that answering rows has.
    pub fn prediction_keys() -> Keys {
        Keys::default()
            .and::<Inputs>()
            .and::<Columns>()
            .and::<PredictOptions>()
            .and::<EvalOptions>()
            .and::<Machine>()
    }

    /// Answers rows, which need not say what is right, and writes them with the answers: into the file that `out` names,
    /// or to `output` if that is `-`. What an interrupted command left in `FILE.unfinished` is gone on with. Ranks share the
    /// rows; the first of them writes.
    ///
    /// # Errors
    /// Wrong input, an unfinished file of other rows or another model, or a file that cannot be written.
    pub fn predict(
        &self,
        given: Given,
        output: &mut (dyn Write + Send),
        watch: &mut dyn Watch,
    ) -> Result<Predicted> {
        let mut given = inputs::with_known(given)?;
        let inputs: Inputs = given.take()?;
        let columns: Columns = given.take()?;
        let mut options: PredictOptions = given.take()?;
        let batch_size = given.take::<EvalOptions>()?.batch_size()?;
        let machine = given.take::<Machine>()?.complete()?;
        given.finish(&Self::prediction_keys(), |_| "a prediction".into())?;
        let ranks = self.ranks();
        let Some(out) = options.out.clone() else {
            refuse!("`out` is missing: a file that ends in .csv, .tsv, .jsonl or .parquet, or -");
        };
        let format = match out == Path::new("-") {
            true => None,
            false => Some(TableFormat::of(&out)?),
        };
        if format.is_some() && ranks.leads() {
            predictions::check("out", &out)?;
        }
        match &inputs.data {
            None => {
                refuse!("`data` is missing: the file with the rows, or - for the standard input")
            }
            Some(data) if data == Path::new("-") && !ranks.is_alone() => refuse!(
                "`data = -`: the standard input reaches one rank alone; name a file that all of them see, or start one process"
            ),
            Some(_) => {}
        }
        let predicted = with_threads(machine.threads, || {
            let asked = Asked {
                inputs: &inputs,
                columns: &columns,
                own: self.tasks(),
                reading: Reading {
                    splits: &[ROWS],
                    label_optional: true,
                },
            };
            let source = TaskSource::find(asked, watch)?;
            let (rows, rows_hash) = check(&source, &ranks)?;
            let model = ModelSource::find(&inputs, watch)?;
            options.adapter = model.adapter(options.adapter.take(), watch);
            let config = ModelConfig::from_folder(&model.folder).about("`model`")?;
            if let Some(folder) = &options.adapter {
                inputs::check_adapter_folder(folder, &config)?;
            }
            let max_length = inputs::max_length(inputs.max_length, &config)?;
            let encoder = inputs::encoder(&model.tokenizer, inputs.bos_id, max_length)?
                .with_end_ids(&config.eos_token_ids);
            let task = source.task.as_ref();
            let encoder = inputs::with_room(encoder, task, inputs.max_new_tokens)?;
            let encoder = inputs::with_template(encoder, task, &inputs, &model.tokenizer)?;
            let weights = options.adapter.as_ref().unwrap_or(&model.folder);
            let scoring = inputs::scoring(task, &encoder, &config, options.beams, None)?
                .with_biases(OptionBiases::of(weights, &source.name)?);
            let job = PredictJob {
                predicting: &Predicting {
                    ranks: &ranks,
                    source: &source,
                    model: &model,
                    config: &config,
                    encoder: &encoder,
                    scoring: &scoring,
                    options: &options,
                    machine: &machine,
                    batch_size,
                    rows,
                    rows_hash,
                    out: &out,
                    format,
                },
                output,
                watch,
            };
            dispatch(&machine, job)
        });
        ended(&ranks, predicted)
    }
}

/// Reads all rows as the task's, before a model is loaded, and says how many there are; of several ranks also their hash.
fn check(source: &TaskSource, ranks: &Ranks) -> Result<(usize, String)> {
    let (mut rows, mut asked, mut hash) = (0, 0, Hash::new());
    let mut blank = None;
    source
        .data
        .each(ROWS, |row| {
            rows += 1;
            if !ranks.is_alone() {
                hash.part(Value::from(row.fields().clone()).to_string().as_bytes());
            }
            match ask(source, row) {
                Ok(_) => asked += 1,
                Err(error) if is_blank(&error) => blank = blank.take().or(Some(error)),
                Err(error) => return Err(error),
            }
            Ok(())
        })
        .or_input()?;
    // of no row at all: these are other rows
    if let (0, Some(error @ (DataError::MissingField { .. } | DataError::Chat { .. }))) =
        (asked, blank)
    {
        return Err(error).or_input();
    }
    Ok((rows, hash.short()))
}

/// What the task makes of a row; none if there is nothing in it to answer.
fn sample(source: &TaskSource, row: Row) -> Result<Option<Sample>, DataError> {
    match ask(source, row) {
        Ok(sample) => Ok(Some(sample)),
        Err(error) if is_blank(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a row has nothing in it to answer: what is asked is blank, null or missing.
fn is_blank(error: &DataError) -> bool {
    match error {
        DataError::EmptyPrompt { .. } | DataError::MissingField { .. } => true,
        DataError::WrongType { found, .. } => *found == NULL,
        DataError::Chat { source, .. } => source.is_null_or_missing(),
        _ => false,
    }
}

/// What the task makes of a row whose label is not looked at.
fn ask(source: &TaskSource, row: Row) -> Result<Sample, DataError> {
    let row = row.label_optional();
    let row = match source.task.label_field() {
        Some(field) => row.without(field),
        None => row,
    };
    source.task.sample(&row)
}

/// A prediction whose settings are known.
struct Predicting<'a> {
    ranks: &'a Ranks,
    source: &'a TaskSource,
    model: &'a ModelSource,
    config: &'a ModelConfig,
    encoder: &'a PromptEncoder,
    scoring: &'a Scoring,
    options: &'a PredictOptions,
    machine: &'a Machine,
    batch_size: usize,
    rows: usize,
    /// Their hash, of several ranks.
    rows_hash: String,
    out: &'a Path,
    /// None on the standard output.
    format: Option<TableFormat>,
}

struct PredictJob<'a> {
    predicting: &'a Predicting<'a>,
    output: &'a mut (dyn Write + Send),
    watch: &'a mut dyn Watch,
}

/// What was counted on the way.
#[derive(Default)]
struct Counts {
    blank: usize,
    non_finite: usize,
    truncated: usize,
}

impl Job for PredictJob<'_> {
    type Output = Predicted;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<Predicted> {
        let Self {
            predicting: this,
            output,
            watch,
        } = self;
        let storage = this.machine.storage();
        let base = inputs::load::<B>(&this.model.folder, storage, device).about("`model`")?;
        let model = match &this.options.adapter {
            Some(folder) => inputs::attach(base, folder, storage, watch)?,
            None => base,
        };
        let ranks = this.ranks;
        if !ranks.is_alone() {
            let facts = [
                ("the model, the task or the settings", this.seal(&model)?),
                ("the rows", this.rows_hash.clone()),
            ];
            alike(ranks, &facts.map(|(what, hash)| (what.into(), hash)))?;
        }
        let mut to = match this.format {
            Some(_) if ranks.leads() => Some(Unfinished::open(this.out, &this.seal(&model)?)?),
            _ => None,
        };
        let before = match &mut to {
            Some(unfinished) => unfinished.check(&this.source.data, ROWS)?,
            None => 0,
        };
        let before = all_know(ranks, before)?;
        if before > 0 {
            watch.note(&format!(
                "note: going on behind the {} in {}",
                count(before, "row"),
                Unfinished::path(this.out).display()
            ));
        }
        watch.writing_begins();
        watch.work_begins("predict", this.rows as u64);
        let start = Instant::now();
        let mut counts = Counts::default();
        let mut done = before;
        while done < this.rows {
            let chunk = this
                .source
                .data
                .range(ROWS, done..done + CHUNK)
                .or_input()?;
            for block in chunk.chunks(BLOCK.max(this.batch_size * ranks.size())) {
                let lines = this.answer(&model, block, &mut counts)?;
                match &mut to {
                    Some(unfinished) => unfinished.append(&lines)?,
                    None if ranks.leads() => write_lines(output, lines)?,
                    None => {}
                }
                done += block.len();
                watch.work_done(done as u64);
            }
        }
        watch.work_ends();
        let seconds = start.elapsed().as_secs_f64();
        if let (Some(unfinished), Some(format)) = (to, this.format) {
            unfinished.finish(this.out, format)?;
        }
        Ok(Predicted {
            model: this.model.name.clone(),
            adapter: this.options.adapter.clone(),
            task: this.source.name.clone(),
            out: this.out.to_owned(),
            rows: this.rows,
            before,
            blank: counts.blank,
            non_finite: counts.non_finite,
            truncated: counts.truncated,
            seconds,
            rows_per_second: (this.rows - before) as f64 / seconds.max(1e-9),
        })
    }
}

impl Predicting<'_> {
    /// A hash of all that answers depend on beside the rows.
    fn seal<B: RunBackend>(&self, model: &Model<B>) -> Result<String> {
        let mut hash = Hash::new();
        hash.part(content_hash(model).as_bytes());
        hash.part(
            match &self.source.file {
                None => self.source.name.as_bytes().to_owned(),
                Some(file) => {
                    let mut keys: toml::Table = file.parse().or_input()?;
                    // that of the rows' file, where the task was made of columns
                    keys.remove("name");
                    toml::to_string(&keys).or_input()?.into_bytes()
                }
            }
            .as_slice(),
        );
        let tokens = self.encoder.encode_text(PROBE).or_input()?;
        let how = (
            tokens,
            self.encoder.max_length(),
            self.encoder.max_new_tokens(),
            self.options.beams,
        );
        hash.part(format!("{how:?}").as_bytes());
        hash.part(format!("{:?}", model.config().eos_token_ids).as_bytes());
        if let Some(template) = self.encoder.chat_template() {
            hash.part(template.source().as_bytes());
        }
        Ok(hash.short())
    }

    fn prompts(&self, samples: &[Sample]) -> Result<Vec<zograd_tasks::Prompt>> {
        let task = self.source.task.as_ref();
        let from = (&self.source.data, ROWS);
        let prompts = inputs::prompts(self.encoder, task, from, samples, &[], Calibration::None)?;
        inputs::check_ids(&prompts, self.config)?;
        Ok(prompts)
    }

    /// Rows with their answers, in their order.
    fn answer<B: RunBackend>(
        &self,
        model: &Model<B>,
        rows: &[Row],
        counts: &mut Counts,
    ) -> Result<Vec<Line>> {
        let samples = rows
            .iter()
            .map(|row| sample(self.source, row.clone()).or_input());
        let samples: Vec<Option<Sample>> = samples.collect::<Result<_>>()?;
        let asked: Vec<Sample> = samples.iter().flatten().cloned().collect();
        let prompts = self.prompts(&asked)?;
        counts.truncated += inputs::truncated(&prompts);
        let mut answers = Vec::new();
        if !prompts.is_empty() {
            let on = |_| ControlFlow::Continue(());
            let evaluation = evaluate_on(
                self.ranks,
                model,
                &prompts,
                self.scoring,
                self.batch_size,
                on,
            )
            .or_input()?;
            counts.non_finite += evaluation.non_finite;
            answers = evaluation.predictions;
        }
        let names = Names::of(self.source.task.as_ref());
        let mut answers = answers.into_iter();
        let line = |(row, sample): (&Row, &Option<Sample>)| {
            let answer = match sample {
                Some(sample) => answers
                    .next()
                    .map(|answer| names.answer(&answer.answer, sample)),
                None => {
                    counts.blank += 1;
                    None
                }
            };
            Line {
                row: row.fields().clone(),
                written: row.written().cloned(),
                answer: answer.unwrap_or_default(),
            }
        };
        Ok(rows.iter().zip(&samples).map(line).collect())
    }
}

/// A number of the first rank, on all of them.
fn all_know(ranks: &Ranks, number: usize) -> Result<usize> {
    let mut sent = Outgoing::new();
    sent.number(number as u64);
    let said = from_first(ranks, sent)?;
    Ok(Incoming::of(0, &said).number("a number of rows")? as usize)
}

/// Hands rows with their answers to whoever reads the output.
fn write_lines(output: &mut dyn Write, lines: Vec<Line>) -> Result<()> {
    let named = |written: std::io::Result<()>| {
        let written = written.while_running();
        written.map_err(|error| error.within("the standard output"))
    };
    for line in lines {
        let line = line.json().while_running()?;
        named(writeln!(output, "{line}"))?;
    }
    named(output.flush())
}
