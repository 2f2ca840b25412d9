//! `zograd prompts`: what a model would read.

use crate::args::{FormName, PromptsArgs, SplitName};
use crate::{config_file, inputs, task};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;
use zograd_tasks::{Dataset, Demonstrations, Form, Prompt, PromptEncoder, Sample, Split, Task};

/// Shows the prompts of some rows.
///
/// # Errors
/// Wrong input, or the output is closed.
pub fn run(args: PromptsArgs) -> Result<ExitCode> {
    let args = match &args.config {
        Some(file) => PromptsArgs {
            config: None,
            json: args.json,
            ..config_file::overlay(&args, file)?
        },
        None => args,
    };
    let name = args.task.as_deref();
    let name = name.context("--task is missing: name the task, or its TOML file")?;
    let data = args
        .data
        .as_deref()
        .context("--data is missing: name the folder with the rows")?;
    let (task, data) = task::open(name, data)?;
    let task = task.as_ref();
    let tokenizer = args.tokenizer.as_deref();
    let tokenizer =
        tokenizer.context("--tokenizer is missing: name a tokenizer or model folder")?;
    let max_length = args.max_length.unwrap_or(PromptEncoder::DEFAULT_MAX_LENGTH);
    let encoder = inputs::encoder(tokenizer, args.bos_id, max_length)?;
    let split = split(args.split.unwrap_or_default());
    let rows = data.count(split)?;
    let (offset, form) = (args.offset.unwrap_or(0), args.form.unwrap_or_default());
    if offset >= rows {
        bail!("--offset {offset}: the {split} split has {rows} rows");
    }
    let samples = samples(task, &data, split, offset, args.limit.unwrap_or(5))?;
    let shown = match form {
        FormName::Icl | FormName::IclSfc => samples_of_shots(task, &data, args.shots.unwrap_or(2))?,
        _ => Demonstrations::default(),
    };
    let form = match form {
        FormName::Train => Form::Train,
        FormName::ZeroShot => Form::ZeroShot,
        FormName::Icl => Form::InContext(&shown),
        FormName::Sfc => Form::Calibration,
        FormName::IclSfc => Form::InContextCalibration(&shown),
    };
    let mut out = std::io::stdout().lock();
    for sample in &samples {
        let prompt = encoder.encode(task, sample, form)?;
        if args.json {
            serde_json::to_writer(&mut out, &Shown::new(&prompt))?;
            writeln!(out)?;
        } else {
            write_text(&mut out, &prompt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The library's split.
pub fn split(name: SplitName) -> Split {
    match name {
        SplitName::Train => Split::Train,
        SplitName::Validation => Split::Validation,
    }
}

fn samples(
    task: &dyn Task,
    data: &Dataset,
    split: Split,
    offset: usize,
    limit: usize,
) -> Result<Vec<Sample>> {
    let rows = data.range(split, offset..offset.saturating_add(limit))?;
    let sample = |row| Ok(task.sample(row)?);
    rows.iter().map(sample).collect()
}

fn samples_of_shots(task: &dyn Task, data: &Dataset, shots: usize) -> Result<Demonstrations> {
    let rows = data.count(Split::Train)?;
    if shots > rows {
        bail!("--shots {shots}: the train split has {rows} rows");
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
}

impl<'a> Shown<'a> {
    fn new(prompt: &'a Prompt) -> Self {
        Self {
            row: prompt.row,
            correct: match prompt.correct[..] {
                [one] => Correct::One(one),
                _ => Correct::Some(&prompt.correct),
            },
            candidates: prompt
                .candidates
                .iter()
                .map(|c| ShownCandidate {
                    text: &c.text,
                    ids: &c.ids,
                    option_len: c.option_len,
                })
                .collect(),
        }
    }
}

fn write_text(out: &mut impl Write, prompt: &Prompt) -> std::io::Result<()> {
    writeln!(out, "row {}", prompt.row)?;
    for (k, candidate) in prompt.candidates.iter().enumerate() {
        let mark = if prompt.correct.contains(&k) {
            "*"
        } else {
            " "
        };
        let cut = match candidate.truncated {
            0 => String::new(),
            n => format!(", {n} cut from the left"),
        };
        let (ids, scored) = (candidate.ids.len(), candidate.option_len);
        writeln!(out, " {mark} {k}: {:?}", candidate.text)?;
        writeln!(
            out,
            "      {ids} ids, the last {scored} scored{cut}: {:?}",
            candidate.ids
        )?;
    }
    Ok(())
}
