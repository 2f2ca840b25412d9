//! What is understood of rows, before anything is trained on them.

mod failing;

use crate::Runs;
use crate::error::{Blame, Result, RunError};
use crate::inputs::{self, Asked, Calibration, ModelSource, Reading, TaskSource};
use crate::settings::{Columns, Given, Inputs, Keys};
use crate::watch::Watch;
use failing::Failing;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use zograd_models::ModelConfig;
use zograd_tasks::{Chat, ChatTask, Dataset, Prompt, PromptEncoder, Row, Split, Task};

/// How many rows are looked at together.
const CHUNK: usize = 4096;

/// How many rows say what a field holds.
const FIELD_ROWS: usize = 10_000;

/// What rows are.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DataReport {
    /// Where they are.
    pub data: String,
    /// Their format.
    pub format: String,
    /// What separates the cells of a table of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<char>,
    /// How one file was divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<String>,
    /// Why there are not all splits that a run reads: a file of few rows cannot be divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undivided: Option<String>,
    /// What the rows are about, where that is said or seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Their fields, by the first ten thousand rows.
    pub fields: Vec<FieldReport>,
    /// Their splits.
    pub splits: Vec<SplitReport>,
    /// Texts that are in two splits.
    pub shared: Vec<Shared>,
    /// Texts that have different labels in different rows.
    pub contradictions: usize,
    /// The longest prompt in tokens, where a model or a tokenizer is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// The prompt of the first row, with what is right behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The first rows that cannot be read, and why.
    pub problems: Vec<String>,
    /// The first chats that can be answered, and that a run refuses to learn from or to be tested on, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// A field.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FieldReport {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: String,
    /// Rows in which it is missing, null or blank.
    pub blank: usize,
    /// A value of it.
    pub example: String,
}

/// A split.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SplitReport {
    /// Which.
    pub split: Split,
    /// How many rows it has.
    pub rows: usize,
    /// How many of each class, the most frequent first; those that say nothing under an empty name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<(String, usize)>,
    /// Rows whose text another row of the split has, too.
    pub duplicates: usize,
    /// Rows that cannot be read as the task's, of those that were tried.
    pub unreadable: usize,
    /// How many rows were tried, where that was given up because the prompts of the first ones could not be made, all for
    /// the same reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<usize>,
    /// Lengths of the prompts in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Lengths>,
    /// What there is in chats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chats: Option<ChatCounts>,
}

/// What there is in the chats of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChatCounts {
    /// How many chats can be read.
    pub chats: usize,
    /// Their turns.
    pub turns: usize,
    /// Those of the assistant.
    pub answers: usize,
    /// Tokens that count in the loss, where a model or a tokenizer is given.
    pub scored: usize,
    /// Chats that a run refuses: without an answer at their end, or with a blank one.
    pub refused: usize,
    /// Turns of the assistant that count in no loss, because the template writes them otherwise once the chat has gone on.
    pub left_out: usize,
}

/// Lengths in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lengths {
    /// The shortest.
    pub min: usize,
    /// Half are longer.
    pub median: usize,
    /// One of twenty is longer.
    pub p95: usize,
    /// The longest.
    pub max: usize,
    /// How many are cut to the longest that is read.
    pub cut: usize,
}

/// Texts that are in two splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Shared {
    /// The splits.
    pub splits: [Split; 2],
    /// How many texts.
    pub texts: usize,
}

impl Runs {
    /// All settings that looking at rows has.
    pub fn inspection_keys() -> Keys {
        Keys::default().and::<Inputs>().and::<Columns>()
    }

    /// Looks at rows: without a task or columns at their fields alone.
    ///
    /// # Errors
    /// Rows that cannot be read at all, columns that are not there, a tokenizer that cannot be loaded.
    pub fn inspect(&self, mut given: Given, watch: &mut dyn Watch) -> Result<DataReport> {
        let is_said = inputs::names_task(&given);
        // lengths in tokens ask for its tokenizer and its positions alone
        given = inputs::with_known(given)?.without("adapter");
        if let (false, Some(task)) = (is_said, given.text("task")) {
            watch.note(&format!(
                "note: the rows are taken for those of the task that the model was tuned for (`task = {task}`); give \
                 a `task`, or say which column is what, to have them taken for others"
            ));
        }
        let inputs: Inputs = given.take()?;
        let columns: Columns = given.take()?;
        given.finish(&Self::inspection_keys(), |_| "this command".into())?;
        let has_task = inputs.task.is_some() || columns.stand_for_a_task();
        let alone = match has_task {
            true => None,
            false => Some(inputs::rows_alone(&inputs, &columns)?),
        };
        let is_chat = match &alone {
            Some(data) => inputs::first_is_chat(data)?,
            None => false,
        };
        // the standard input is read once
        let is_read = inputs.data.as_deref() == Some(Path::new("-"));
        let (source, undivided) = match has_task || (is_chat && !is_read) {
            true => {
                let (source, why) = self.first_that_opens(&inputs, &columns, watch)?;
                (Some(source), why.map(|why| why.to_string()))
            }
            false => (None, None),
        };
        let task = match &source {
            Some(source) => Some(source.task.as_ref()),
            None => is_chat.then_some(&ChatTask as &dyn Task),
        };
        let data = match (&source, alone) {
            (None, Some(data)) => data,
            (Some(source), _) => source.data.clone(),
            (None, None) => inputs::rows_alone(&inputs, &columns)?,
        };
        let encoder = encoder(&inputs, task, watch)?;
        let mut looking = Looking {
            task,
            data: &data,
            encoder: encoder.as_ref(),
            texts: HashMap::new(),
            problems: Vec::new(),
            refused: Vec::new(),
            failing: Failing::default(),
        };
        let mut splits = Vec::new();
        for split in data.splits() {
            splits.push(looking.split(split)?);
        }
        let first = data.splits().next().unwrap_or(Split::Validation);
        let (format, separator) = data.format(first).about("`data`")?.unzip();
        Ok(DataReport {
            data: data.name().to_owned(),
            format: format.map(|format| format.to_string()).unwrap_or_default(),
            separator: separator.flatten(),
            shares: data.shares().map(|shares| shares.to_string()),
            undivided,
            task: task.map(|task| task.name().to_string()),
            fields: fields(&data, first)?,
            prompt: looking.example(first)?,
            shared: looking.shared(),
            contradictions: looking.contradictions(),
            problems: looking.problems,
            refused: looking.refused,
            splits,
            max_length: encoder.map(|encoder| encoder.max_length()),
        })
    }

    /// The rows with all splits, or with those that are there and why there are no others.
    fn first_that_opens(
        &self,
        inputs: &Inputs,
        columns: &Columns,
        watch: &mut dyn Watch,
    ) -> Result<(TaskSource, Option<RunError>)> {
        let mut open = |splits: &[Split]| {
            let reading = Reading {
                splits,
                label_optional: true,
            };
            let asked = Asked {
                inputs,
                columns,
                own: self.tasks(),
                reading,
            };
            TaskSource::open(asked, watch)
        };
        let error = match open(Reading::ALL.splits) {
            Ok(source) => return Ok((source, None)),
            Err(error) => error,
        };
        let others = [&[Split::Validation][..], &[Split::Train]];
        match others.into_iter().find_map(|splits| open(splits).ok()) {
            Some(source) => Ok((source, Some(error))),
            None => Err(error),
        }
    }
}

/// That of the model or the tokenizer that was given.
fn encoder(
    inputs: &Inputs,
    task: Option<&dyn Task>,
    watch: &mut dyn Watch,
) -> Result<Option<PromptEncoder>> {
    let config = match &inputs.model {
        Some(_) => {
            let model = ModelSource::find(inputs, watch)?;
            let config = ModelConfig::from_folder(&model.folder).about("`model`")?;
            Some((model, config))
        }
        None => None,
    };
    let (folder, length, ends) = match (&config, &inputs.tokenizer) {
        (Some((model, config)), _) => (
            &model.tokenizer,
            inputs::max_length(inputs.max_length, config)?,
            config.eos_token_ids.as_slice(),
        ),
        (None, Some(folder)) => (
            folder,
            inputs
                .max_length
                .unwrap_or(PromptEncoder::DEFAULT_MAX_LENGTH),
            &[][..],
        ),
        (None, None) => return Ok(None),
    };
    let encoder = inputs::encoder(folder, inputs.bos_id, length)?;
    let encoder = encoder.with_end_ids(ends);
    match task {
        Some(task) => inputs::with_template(encoder, task, inputs, folder).map(Some),
        None => Ok(Some(encoder)),
    }
}

/// A text, as far as it has been seen.
#[derive(Default)]
struct Seen {
    /// In how many rows of each split.
    rows: [usize; 3],
    label: Option<String>,
    contradicts: bool,
}

/// What is in a row.
#[derive(Default)]
struct Looked {
    /// The label in words.
    label: Option<String>,
    chat: Option<Chat>,
    prompt: Option<Prompt>,
}

impl ChatCounts {
    fn add(&mut self, chat: &Chat, prompt: Option<&Prompt>) {
        self.chats += 1;
        self.turns += chat.turns();
        self.answers += chat.answers();
        if let Some(prompt) = prompt {
            let scored = prompt.candidates.iter().map(|candidate| candidate.scored());
            self.scored += scored.sum::<usize>();
            self.left_out += prompt.left_out;
        }
    }
}

struct Looking<'a> {
    task: Option<&'a dyn Task>,
    data: &'a Dataset,
    encoder: Option<&'a PromptEncoder>,
    /// By the hash of the text.
    texts: HashMap<u64, Seen>,
    problems: Vec<String>,
    refused: Vec<String>,
    failing: Failing,
}

impl Looking<'_> {
    fn split(&mut self, split: Split) -> Result<SplitReport> {
        let rows = self.data.count(split).about("`data`")?;
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        let (mut lengths, mut cut, mut unreadable) = (Vec::new(), 0, 0);
        let mut chats = ChatCounts::default();
        let mut tried = 0;
        'rows: for start in (0..rows).step_by(CHUNK) {
            for row in self
                .data
                .range(split, start..start + CHUNK)
                .about("`data`")?
            {
                if self.failing.is_enough() {
                    break 'rows;
                }
                tried += 1;
                let whole = row.clone();
                match self.row(split, row.label_optional()) {
                    Ok(Looked {
                        label,
                        chat,
                        prompt,
                    }) => {
                        if let Some(label) = label {
                            *labels.entry(label).or_default() += 1;
                        }
                        if let Some(chat) = chat {
                            chats.refused += usize::from(self.refuses(&whole));
                            chats.add(&chat, prompt.as_ref());
                        }
                        if let Some(prompt) = prompt {
                            let (length, is_cut) = length(&prompt);
                            lengths.push(length);
                            cut += usize::from(is_cut);
                        }
                    }
                    Err(problem) => {
                        unreadable += 1;
                        if self.problems.len() < 3 {
                            self.problems.push(problem);
                        }
                    }
                }
            }
        }
        let mut labels: Vec<(String, usize)> = labels.into_iter().collect();
        labels.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        lengths.sort_unstable();
        let twice = self.texts.values().map(|seen| seen.rows[split as usize]);
        Ok(SplitReport {
            split,
            rows,
            labels,
            duplicates: twice.map(|rows| rows.saturating_sub(1)).sum(),
            unreadable,
            tried: (tried < rows).then_some(tried),
            tokens: Lengths::of(&lengths, cut),
            chats: self
                .task
                .is_some_and(|task| task.is_chat())
                .then_some(chats),
        })
    }

    /// Whether a run refuses a chat, which it has to learn from.
    fn refuses(&mut self, row: &Row) -> bool {
        let Some(Err(error)) = self.task.map(|task| task.sample(row)) else {
            return false;
        };
        if self.refused.len() < 3 {
            self.refused.push(error.to_string());
        }
        true
    }

    /// What is in a row; or what is wrong with it.
    fn row(&mut self, split: Split, row: Row) -> Result<Looked, String> {
        let Some(task) = self.task else {
            let text = serde_json::to_string(row.fields()).unwrap_or_default();
            self.see(split, &text, None);
            return Ok(Looked::default());
        };
        let sample = task.sample(&row).map_err(|error| error.to_string())?;
        let names = task.option_names();
        let name = |k: usize| {
            let named = names.as_ref().and_then(|names| names.get(k)).cloned();
            named.unwrap_or_else(|| {
                let ending = sample.cloze.endings.get(k);
                ending.map_or(String::new(), |ending| ending.trim().to_owned())
            })
        };
        let is_fixed = names.is_some() || !task.is_generation();
        let label = is_fixed.then(|| sample.correct.first().map(|k| name(*k)).unwrap_or_default());
        self.see(
            split,
            &sample.cloze.context,
            label.as_deref().filter(|label| !label.is_empty()),
        );
        let mut looked = Looked {
            label,
            chat: sample.chat.clone(),
            prompt: None,
        };
        let Some(encoder) = self.encoder else {
            return Ok(looked);
        };
        let from = (self.data, split);
        let samples = std::slice::from_ref(&sample);
        let prompts = inputs::prompts(encoder, task, from, samples, &[], Calibration::None);
        let prompts = prompts.map_err(|error| error.to_string());
        // the same of any row
        let place = format!("{}: ", row.location());
        let reason = prompts.as_ref().err().map(String::as_str);
        let reason = reason.map(|text| text.strip_prefix(&place).unwrap_or(text));
        self.failing.tell(reason);
        let prompts = prompts?;
        looked.prompt = prompts.into_iter().next();
        Ok(looked)
    }

    fn see(&mut self, split: Split, text: &str, label: Option<&str>) {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hash = DefaultHasher::new();
        text.hash(&mut hash);
        let seen = self.texts.entry(hash.finish()).or_default();
        seen.rows[split as usize] += 1;
        match (&seen.label, label) {
            (None, Some(label)) => seen.label = Some(label.to_owned()),
            (Some(known), Some(label)) if known != label => seen.contradicts = true,
            _ => {}
        }
    }

    fn shared(&self) -> Vec<Shared> {
        let pairs = [
            [Split::Train, Split::Dev],
            [Split::Train, Split::Validation],
            [Split::Dev, Split::Validation],
        ];
        let shared = pairs.map(|splits| Shared {
            splits,
            texts: self
                .texts
                .values()
                .filter(|seen| splits.iter().all(|split| seen.rows[*split as usize] > 0))
                .count(),
        });
        shared
            .into_iter()
            .filter(|shared| shared.texts > 0)
            .collect()
    }

    fn contradictions(&self) -> usize {
        self.texts.values().filter(|seen| seen.contradicts).count()
    }

    /// The first prompt, with what is right behind it.
    fn example(&self, split: Split) -> Result<Option<String>> {
        let Some(task) = self.task else {
            return Ok(None);
        };
        let rows = self.data.range(split, 0..1).about("`data`")?;
        let sample = rows
            .first()
            .and_then(|row| task.sample(&row.clone().label_optional()).ok());
        let text = |sample: &zograd_tasks::Sample| {
            let option = sample.correct.first().copied();
            option
                .and_then(|k| sample.cloze.verbalize(k))
                .unwrap_or_else(|| sample.cloze.context.clone())
        };
        Ok(sample.as_ref().map(text))
    }
}

/// The length of a prompt's longest sequence before it was cut, and whether it was.
fn length(prompt: &Prompt) -> (usize, bool) {
    let question = prompt.question.iter().map(|question| &question.prompt);
    let all = prompt.candidates.iter().chain(question);
    let longest = all
        .map(|c| (c.ids.len() + c.truncated, c.truncated > 0))
        .max();
    longest.unwrap_or((0, false))
}

impl Lengths {
    /// Of sorted lengths; none of none.
    fn of(sorted: &[usize], cut: usize) -> Option<Self> {
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
        Some(Self {
            min,
            median: at(50),
            p95: at(95),
            max,
            cut,
        })
    }
}

/// What the first rows say of the fields.
fn fields(data: &Dataset, split: Split) -> Result<Vec<FieldReport>> {
    let rows = data.range(split, 0..FIELD_ROWS).about("`data`")?;
    let mut fields: Vec<FieldReport> = Vec::new();
    let mut filled: Vec<usize> = Vec::new();
    for row in &rows {
        for (name, value) in row.fields() {
            let at = fields
                .iter()
                .position(|field| field.name == *name)
                .unwrap_or_else(|| {
                    filled.push(0);
                    fields.push(FieldReport {
                        name: name.clone(),
                        kind: String::new(),
                        blank: 0,
                        example: String::new(),
                    });
                    fields.len() - 1
                });
            let Some(kind) = kind(row, value) else {
                continue;
            };
            filled[at] += 1;
            let field = &mut fields[at];
            if field.kind.is_empty() {
                field.kind = kind.into();
                field.example = shown(value);
            } else if field.kind != kind {
                let numbers = ["whole numbers", "numbers"];
                let is_number = |kind: &str| numbers.contains(&kind);
                field.kind = match is_number(&field.kind) && is_number(kind) {
                    true => "numbers",
                    false if row.number_in(value).is_some() || kind == "texts" => "texts",
                    false => "mixed",
                }
                .into();
            }
        }
    }
    for (field, filled) in fields.iter_mut().zip(filled) {
        field.blank = rows.len() - filled;
        if field.kind.is_empty() {
            field.kind = "nothing".into();
        }
    }
    Ok(fields)
}

/// What a value is; none of one that says nothing.
fn kind(row: &Row, value: &Value) -> Option<&'static str> {
    if let Some(number) = row.number_in(value) {
        let is_whole = number.as_f64().is_some_and(|number| number.fract() == 0.0);
        return Some(if is_whole { "whole numbers" } else { "numbers" });
    }
    match value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(_) | Value::Number(_) => Some("texts"),
        Value::Bool(_) => Some("true or false"),
        Value::Array(_) => Some("lists"),
        Value::Object(_) => Some("objects"),
    }
}

/// The beginning of a value.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = shown.char_indices().nth(50) {
        shown.truncate(end);
        shown.push_str("..");
    }
    shown
}
