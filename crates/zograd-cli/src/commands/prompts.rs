//! `zograd prompts`: what a model would read.

use crate::args::{FormName, HasSettings, PromptOptions, Prompts, PromptsArgs};
use crate::console::Console;
use crate::output::answer;
use serde::Serialize;
use std::ops::Range;
use std::process::ExitCode;
use zograd_models::ModelConfig;
use zograd_runs::inputs::{self, Asked, ModelSource, Reading, TaskSource};
use zograd_runs::words::count;
use zograd_runs::{Blame, Columns, Inputs, Result, RunError, SplitName};
use zograd_tasks::{Dataset, Demonstrations, Form, Prompt, PromptEncoder, Sample, Split, Task};

/// Shows the prompts of some rows.
///
/// # Errors
/// Wrong input, or the output is closed.
pub fn run(args: &PromptsArgs) -> anyhow::Result<ExitCode> {
    let (mut given, model) = inputs::with_known_tokenizer(args.with_file()?)?;
    let options: PromptOptions = given.take()?;
    let mut columns: Columns = given.take()?;
    if options.rows.is_some() {
        columns = inputs::divided(columns, options.data.as_deref());
    }
    given.finish(&Prompts::keys(), |_| "this command".into())?;
    named(
        options.data.as_ref(),
        "data",
        "name the file or folder with the rows",
    )?;
    let split = Split::from(options.rows.unwrap_or(SplitName::Validation));
    let splits = match options.form {
        FormName::Icl | FormName::IclSfc => &[split, Split::Train][..],
        _ => &[split],
    };
    let reading = Reading {
        splits,
        label_optional: false,
    };
    let mut inputs = Inputs::default();
    inputs.task.clone_from(&options.task);
    inputs.data.clone_from(&options.data);
    inputs.chat_template.clone_from(&options.chat_template);
    inputs.bos_id = options.bos_id;
    let asked = Asked {
        inputs: &inputs,
        columns: &columns,
        own: &[],
        reading,
    };
    let TaskSource { task, data, .. } = TaskSource::open(asked, &mut Console::default())?;
    let task = task.as_ref();
    let model = model.map(|name| {
        let mut inputs = Inputs::default();
        inputs.model = Some(name);
        ModelSource::find(&inputs, &mut Console::default())
    });
    // holds the folder of a built-in model that is unpacked for this command
    let model = model.transpose()?;
    let fix = "name a tokenizer or model folder";
    let tokenizer = match &model {
        Some(model) => &model.folder,
        None => named(options.tokenizer.as_ref(), "tokenizer", fix)?,
    };
    let max_length = options
        .max_length
        .unwrap_or(PromptEncoder::DEFAULT_MAX_LENGTH);
    let mut encoder = inputs::encoder(tokenizer, options.bos_id, max_length)?;
    // a folder with a tokenizer alone does not say how a text ends
    if let Ok(config) = ModelConfig::from_folder(tokenizer) {
        encoder = encoder.with_end_ids(&config.eos_token_ids);
    }
    let encoder = inputs::with_template(encoder, task, &inputs, tokenizer)?;
    let rows = data.count(split).or_input()?;
    let offset = options.offset.unwrap_or(0);
    if offset >= rows {
        return Err(RunError::input(format!(
            "`offset = {offset}`: the {split} split has {}",
            count(rows, "row")
        ))
        .into());
    }
    let samples = samples(task, &data, split, offset, options.limit.unwrap_or(5))?;
    let shown = match options.form {
        FormName::Icl | FormName::IclSfc => shots(task, &data, options.shots.unwrap_or(2))?,
        _ => Demonstrations::default(),
    };
    let form = match options.form {
        FormName::Train => Form::Train,
        FormName::ZeroShot => Form::ZeroShot,
        FormName::Icl => Form::InContext(&shown),
        FormName::Sfc => Form::Calibration,
        FormName::IclSfc => Form::InContextCalibration(&shown),
    };
    for sample in &samples {
        let prompt = encoder.encode(task, sample, form);
        let prompt = prompt.map_err(|e| inputs::at_row(e, (&data, split), sample.row))?;
        let texts = prompt
            .candidates
            .iter()
            .map(|c| encoder.shown(c).or_input());
        let texts: Vec<String> = texts.collect::<Result<_>>()?;
        if args.json {
            answer(serde_json::to_string(&Shown::new(&prompt, &texts))?)?;
        } else {
            answer(in_words(&prompt, &texts))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What was given for a setting that has no default.
fn named<'a, T>(given: Option<&'a T>, key: &str, fix: &str) -> Result<&'a T> {
    given.ok_or_else(|| RunError::input(format!("`{key}` is missing: {fix}")))
}

fn samples(
    task: &dyn Task,
    data: &Dataset,
    split: Split,
    offset: usize,
    limit: usize,
) -> Result<Vec<Sample>> {
    let rows = data.range(split, offset..offset.saturating_add(limit));
    let rows = rows.or_input()?;
    let sample = |row| task.sample(row).or_input();
    rows.iter().map(sample).collect()
}

fn shots(task: &dyn Task, data: &Dataset, shots: usize) -> Result<Demonstrations> {
    let rows = data.count(Split::Train).or_input()?;
    if shots > rows {
        return Err(RunError::input(format!(
            "`shots = {shots}`: the train split has {}",
            count(rows, "row")
        )));
    }
    Ok(Demonstrations::new(
        task,
        &samples(task, data, Split::Train, 0, shots)?,
    ))
}

/// One row in JSON.
#[derive(Serialize)]
struct Shown<'a> {
    row: usize,
    correct: Correct<'a>,
    candidates: Vec<ShownCandidate<'a>>,
}

/// An index where there is one right candidate, a list elsewhere.
#[derive(Serialize)]
#[serde(untagged)]
enum Correct<'a> {
    One(usize),
    Some(&'a [usize]),
}

#[derive(Serialize)]
struct ShownCandidate<'a> {
    text: &'a str,
    ids: &'a [u32],
    option_len: usize,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    gaps: &'a [Range<usize>],
}

impl<'a> Shown<'a> {
    fn new(prompt: &'a Prompt, texts: &'a [String]) -> Self {
        Self {
            row: prompt.row,
            correct: match prompt.correct[..] {
                [one] => Correct::One(one),
                _ => Correct::Some(&prompt.correct),
            },
            candidates: prompt
                .candidates
                .iter()
                .zip(texts)
                .map(|(c, text)| ShownCandidate {
                    text,
                    ids: &c.ids,
                    option_len: c.option_len,
                    gaps: &c.gaps,
                })
                .collect(),
        }
    }
}

fn in_words(prompt: &Prompt, texts: &[String]) -> String {
    let mut lines = format!("row {}", prompt.row);
    for (k, (candidate, text)) in prompt.candidates.iter().zip(texts).enumerate() {
        let mark = if prompt.correct.contains(&k) {
            "*"
        } else {
            " "
        };
        let cut = match candidate.truncated {
            0 => String::new(),
            n => format!(", {n} cut from the left"),
        };
        let (ids, scored) = (candidate.ids.len(), candidate.scored());
        lines += &format!("\n {mark} {k}: {text:?}");
        let scored = match candidate.gaps[..] {
            [] => format!("the last {scored} scored"),
            _ => format!("{scored} of the last {} scored", candidate.option_len),
        };
        lines += &format!("\n      {ids} ids, {scored}{cut}: {:?}", candidate.ids);
    }
    lines
}
