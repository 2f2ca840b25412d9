//! Measuring a model on a task.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::classes::ClassReport;
use crate::error::{Blame, Result, RunError, refuse};
use crate::folder::{OptionBiases, json_hash, numbers, scores};
use crate::inputs::{self, Calibration, ModelSource, Questions, Reading, TaskSource};
use crate::predictions::{self, Asked};
use crate::ranks::{alike, ended};
use crate::settings::{
    Columns, EvalOptions, Given, Inputs, Keys, Machine, Measurement, RewardOptions, SplitName,
};
use crate::threads::with_threads;
use crate::watch::{Quiet, Watch};
use crate::words::count;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use zograd_models::{ModelConfig, content_hash};
use zograd_perturb::Seed;
use zograd_ranks::Ranks;
use zograd_tasks::metrics::Metric;
use zograd_tasks::rewards::Reward;
use zograd_tasks::{Prompt, Row, Sample, Split, Task, sample_indices};
use zograd_trainer::{Evaluation, peak_memory_bytes};

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
    /// How many of them say what is right: the others were answered, and count in no score.
    pub labelled: usize,
    /// How many demonstrations stood before each.
    pub shots: usize,
    /// Rows of the train split that were shown.
    pub demonstrations: Vec<usize>,
    /// What the score is.
    pub metric: Metric,
    /// The scores by the names of their metrics; none without labelled examples.
    #[serde(flatten)]
    pub scores: Map<String, Value>,
    /// What the answers are worth, where that is the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewards: Option<RewardReport>,
    /// Scores of each class, their mean F1 and how classes were taken for one another; none where answers are written, rows
    /// have options of their own, or none is labelled.
    #[serde(flatten)]
    pub classes: Option<ClassReport>,
    /// Mean loss, in nats an example, or minus the mean reward; none where nothing is scored.
    pub loss: Option<f64>,
    /// Examples with a score or a logit that is not finite.
    pub non_finite: usize,
    /// Prompts that were cut from the left.
    pub truncated: usize,
    /// Seconds it took.
    pub seconds: f64,
    /// Peak resident memory in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

/// What answers are worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RewardReport {
    /// How many answers were judged.
    pub answers: usize,
    /// Their mean; not finite if one of them has no reward, because a logit was not finite.
    pub mean: f64,
    /// Their standard deviation (of a sample, so divided by one less than there are); none of a single answer.
    pub sd: Option<f64>,
    /// The least of them.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl RewardReport {
    /// Of an evaluation by rewards.
    fn new(evaluation: &Evaluation) -> Option<Self> {
        let is_reward = evaluation.metric == Metric::Reward;
        let rewards: Vec<f64> = evaluation.predictions.iter().map(|p| p.score).collect();
        is_reward.then(|| Self::of(&rewards))
    }

    fn of(rewards: &[f64]) -> Self {
        let n = rewards.len() as f64;
        let mean = rewards.iter().sum::<f64>() / n;
        let squares: f64 = rewards.iter().map(|reward| (reward - mean).powi(2)).sum();
        Self {
            answers: rewards.len(),
            mean,
            sd: (rewards.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
            min: rewards.iter().copied().fold(f64::INFINITY, f64::min),
            max: rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl Runs {
    /// All settings that a measurement has.
    pub fn measurement_keys() -> Keys {
        Keys::default()
            .and::<Inputs>()
            .and::<Columns>()
            .and::<Measurement>()
            .and::<RewardOptions>()
            .and::<EvalOptions>()
            .and::<Machine>()
    }

    /// Measures a model on a task, and writes its predictions if `predictions` names a file. Then rows need not say what
    /// is right, and neither need they where answers are worth something whatever is right.
    ///
    /// # Errors
    /// Wrong input, or a file that cannot be written.
    pub fn measure(&self, given: Given, watch: &mut dyn Watch) -> Result<EvalReport> {
        let names_task = inputs::names_task(&given);
        let mut given = inputs::with_known_rows(inputs::with_known(given)?)?;
        let of_examples = inputs::examples_of_run(&given)?;
        let of_run = match names_task {
            true => None,
            false => inputs::reward_of_run(&given)?,
        };
        let mut reward: RewardOptions = given.take()?;
        let inputs: Inputs = given.take()?;
        let mut columns: Columns = given.take()?;
        let measurement: Measurement = given.take()?;
        if measurement.rows.is_some() {
            columns = inputs::divided(columns, inputs.data.as_deref());
        }
        let batch_size = given.take::<EvalOptions>()?.batch_size()?;
        let machine = given.take::<Machine>()?.complete()?;
        given.finish(&Self::measurement_keys(), |_| "an evaluation".into())?;
        let ranks = self.ranks();
        if let (true, Some(known)) = (reward.is_empty(), of_run) {
            match &known.reward_command {
                // a folder may be from anywhere: what it says is read, and not run
                Some(command) => watch.note(&format!(
                    "note: in the run a program said what answers are worth; it is not started unless it is said again: \
                     `reward-command = {command:?}`"
                )),
                None => reward = known,
            }
        }
        let reward = match reward.is_empty() {
            true => None,
            false => {
                reward.complete()?;
                Some(reward.build()?)
            }
        };
        let label_optional = measurement.predictions.is_some()
            || reward
                .as_ref()
                .is_some_and(|reward| !reward.needs_right_answers());
        if let (Some(path), true) = (&measurement.predictions, ranks.leads()) {
            predictions::check("predictions", path)?;
        }
        let measured = with_threads(machine.threads, || {
            let scored = Split::from(measurement.rows.unwrap_or(SplitName::Validation));
            let examples = of_examples.as_ref().and_then(|rows| rows.of(scored));
            let (scored, examples) =
                examples.map_or((scored, None), |(split, rows)| (split, Some(rows)));
            let splits = match measurement.shots.unwrap_or(0) {
                0 => &[scored][..],
                _ => &[scored, Split::Train],
            };
            let reading = Reading {
                splits,
                label_optional,
            };
            // rows first: a model may have to be fetched
            let asked = inputs::Asked {
                inputs: &inputs,
                columns: &columns,
                own: self.tasks(),
                reading,
            };
            let rows = TaskSource::find(asked, watch).map_err(|error| {
                let reading = Reading {
                    label_optional: true,
                    ..reading
                };
                let unlabelled = inputs::Asked { reading, ..asked };
                match TaskSource::find(unlabelled, &mut Quiet) {
                    Ok(source) => not_scored(&error, source.task.as_ref()),
                    Err(_) => error,
                }
            })?;
            if reward.is_some() && !rows.task.is_generation() {
                refuse!(
                    "`reward`: the answers of task {} are chosen, not written",
                    rows.task.name()
                );
            }
            let drawn = Drawn::new(&rows, &measurement, (scored, examples), label_optional)?;
            let measuring = Measuring {
                ranks: &ranks,
                model: ModelSource::find(&inputs, watch)?,
                inputs,
                measurement,
                reward,
                batch_size,
                machine,
                rows,
            };
            measuring.run(drawn, watch)
        });
        ended(&ranks, measured)
    }
}

/// What to do about rows that would do if they said what is right.
fn not_scored(error: &RunError, task: &dyn Task) -> RunError {
    RunError::input(format!(
        "{error}; rows that do not say what is right can be answered (`predictions`), not scored{}",
        match task.is_generation() {
            true => ", unless by a reward that does not ask for it (`reward`, `reward-command`)",
            false => "",
        }
    ))
}

/// What a measurement asks.
struct Drawn {
    split: Split,
    /// What the rows call themselves, in their order.
    ids: Vec<Option<Value>>,
    /// What the task makes of them.
    samples: Vec<Sample>,
    /// What stands before each.
    shown: Vec<Sample>,
}

impl Drawn {
    /// Of a split, or of these of its rows, which need not say what is right, or have to.
    fn new(
        source: &TaskSource,
        asked: &Measurement,
        (split, examples): (Split, Option<&[usize]>),
        label_optional: bool,
    ) -> Result<Self> {
        let seed = Seed::new(asked.seed.unwrap_or(0));
        let there = source.data.count(split).or_input()?;
        if let Some(row) = examples.and_then(|rows| rows.iter().find(|row| **row >= there)) {
            refuse!(
                "`data`: the run had row {row} of the {split} split, which has {} now",
                count(there, "row")
            );
        }
        let rows = examples.map_or(there, <[usize]>::len);
        if rows == 0 {
            refuse!("`rows`: the run had none of these");
        }
        let mut picked = sample_indices(seed.child(1), rows, asked.test_examples.unwrap_or(rows));
        if picked.is_empty() {
            refuse!("`test-examples = 0`: use at least 1");
        }
        if let Some(examples) = examples {
            picked
                .iter_mut()
                .for_each(|place| *place = examples[*place]);
        }
        picked.sort_unstable();
        let mut rows = source.data.rows(split, &picked).or_input()?;
        if label_optional {
            rows = rows.into_iter().map(Row::label_optional).collect();
        }
        let sample = |row: &Row| source.task.sample(row).or_input();
        let labelled = |row: &Row| {
            let is_unlabelled = || {
                let sample = source.task.sample(&row.clone().label_optional());
                sample.is_ok_and(|sample| sample.correct.is_empty())
            };
            match sample(row) {
                Err(error) if is_unlabelled() => Err(not_scored(&error, source.task.as_ref())),
                other => other,
            }
        };
        let shots = match asked.shots.unwrap_or(0) {
            0 => Vec::new(),
            shots => {
                let rows = source.data.count(Split::Train).or_input()?;
                if shots > rows {
                    refuse!(
                        "`shots = {shots}`: the train split has {}",
                        count(rows, "row")
                    );
                }
                sample_indices(seed.child(0), rows, shots)
            }
        };
        let shown = match shots.is_empty() {
            true => Vec::new(),
            false => source.data.rows(Split::Train, &shots).or_input()?,
        };
        Ok(Self {
            split,
            samples: rows.iter().map(labelled).collect::<Result<_>>()?,
            ids: rows.iter().map(predictions::id).collect(),
            shown: shown.iter().map(sample).collect::<Result<_>>()?,
        })
    }
}

/// A measurement whose settings are known.
struct Measuring<'a> {
    ranks: &'a Ranks,
    inputs: Inputs,
    measurement: Measurement,
    /// What written answers are worth, if that is the score.
    reward: Option<Arc<dyn Reward>>,
    batch_size: usize,
    machine: Machine,
    model: ModelSource,
    rows: TaskSource,
}

impl Measuring<'_> {
    fn run(mut self, drawn: Drawn, watch: &mut dyn Watch) -> Result<EvalReport> {
        self.measurement.adapter = self.model.adapter(self.measurement.adapter.take(), watch);
        let asked = &self.measurement;
        let config = ModelConfig::from_folder(&self.model.folder).about("`model`")?;
        let max_length = inputs::max_length(self.inputs.max_length, &config)?;
        if let Some(folder) = &asked.adapter {
            inputs::check_adapter_folder(folder, &config)?;
        }
        let task = self.rows.task.as_ref();
        let encoder = inputs::encoder(&self.model.tokenizer, self.inputs.bos_id, max_length)?
            .with_end_ids(&config.eos_token_ids);
        let encoder = inputs::with_room(encoder, task, self.inputs.max_new_tokens)?;
        let encoder = inputs::with_template(encoder, task, &self.inputs, &self.model.tokenizer)?;
        let calibration = calibration(asked)?;
        // they were fitted to prompts as they are in training
        let as_in_training = drawn.shown.is_empty() && calibration == Calibration::None;
        let weights = asked.adapter.as_ref().unwrap_or(&self.model.folder);
        let biases = match as_in_training {
            true => OptionBiases::of(weights, &self.rows.name)?,
            false => Vec::new(),
        };
        let answering =
            inputs::scoring(task, &encoder, &config, asked.beams, None)?.with_biases(biases);
        let scoring = match &self.reward {
            Some(reward) => {
                inputs::scoring(task, &encoder, &config, asked.beams, Some(reward.clone()))?
            }
            None => answering.clone(),
        };
        let Drawn {
            split,
            ids,
            samples,
            shown,
        } = drawn;
        let from = (&self.rows.data, split);
        let prompts = inputs::prompts(&encoder, task, from, &samples, &shown, calibration)?;
        inputs::check_ids(&prompts, &config)?;
        let room = scoring.writer().map(|_| encoder.max_new_tokens());
        inputs::note_lengths(&prompts, shown.len(), room, watch);
        if task.is_chat() {
            inputs::note_chats(&prompts, watch);
        }
        let truncated = inputs::truncated(&prompts);
        let labelled = prompts.iter().filter(|prompt| !prompt.correct.is_empty());
        let labelled = labelled.count();
        let reward = self.reward.as_deref();
        let asks_nothing = reward.is_some_and(|reward| !reward.needs_right_answers());
        let (mut counted, uncounted): (Vec<Prompt>, Vec<Prompt>) = prompts
            .into_iter()
            .partition(|prompt| asks_nothing || !prompt.correct.is_empty());
        if !uncounted.is_empty() {
            let (these, all) = (uncounted.len(), count(samples.len(), "row"));
            watch.note(&match these {
                1 => format!("note: 1 of {all} does not say what is right: it is answered, and counts in no score"),
                _ => format!("note: {these} of {all} do not say what is right: they are answered, and count in no score"),
            });
        }
        if let Some(reward) = reward {
            inputs::give_fields(&mut counted, from, reward)?;
            inputs::try_out(reward, &counted)?;
        }

        let start = Instant::now();
        let questions = |prompts, scoring| Questions {
            prompts,
            scoring,
            batch_size: self.batch_size,
            stop: None,
            ranks: self.ranks,
        };
        let job = MeasureJob {
            measuring: &self,
            questions: [
                questions(&counted, &scoring),
                questions(&uncounted, &answering),
            ],
            watch,
        };
        let [scored, answered] = dispatch(&self.machine, job)?;
        let of = |evaluation: &Evaluation| {
            let mut scores = scores(evaluation, "");
            if labelled == 0 {
                // nothing is right to the word where nobody says what is right
                scores.remove(Metric::ExactMatch.key());
            }
            scores
        };
        if let (Some(path), true) = (&asked.predictions, self.ranks.leads()) {
            let asked = Asked {
                task,
                ids: &ids,
                samples: &samples,
            };
            predictions::write(path, &asked, [scored.as_ref(), answered.as_ref()])
                .about(format!("`predictions = {}`", path.display()))?;
        }
        Ok(EvalReport {
            task: self.rows.name.clone(),
            model: self.model.name.clone(),
            adapter: asked.adapter.clone(),
            examples: samples.len(),
            labelled,
            shots: shown.len(),
            demonstrations: numbers(&shown),
            metric: scoring.metric(),
            scores: scored.as_ref().map(of).unwrap_or_default(),
            rewards: scored.as_ref().and_then(RewardReport::new),
            classes: scored
                .as_ref()
                .and_then(|e| ClassReport::new(task, &samples, &e.predictions)),
            loss: scored.as_ref().map(|e| e.loss),
            non_finite: [&scored, &answered]
                .into_iter()
                .flatten()
                .map(|evaluation| evaluation.non_finite)
                .sum(),
            truncated,
            seconds: start.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory_bytes(),
        })
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
    measuring: &'a Measuring<'a>,
    /// Those that are scored, and those that are answered only.
    questions: [Questions<'a>; 2],
    watch: &'a mut dyn Watch,
}

impl Job for MeasureJob<'_> {
    type Output = [Option<Evaluation>; 2];

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<Self::Output> {
        let machine = &self.measuring.machine;
        let folder = &self.measuring.model.folder;
        let base = inputs::load::<B>(folder, machine.storage(), device).about("`model`")?;
        if !self.measuring.ranks.is_alone() {
            let weights = ("the base weights".into(), content_hash(&base));
            let prompts = self.questions.map(|questions| questions.prompts);
            let prompts = ("the prompts".into(), json_hash(&prompts)?);
            alike(self.measuring.ranks, &[weights, prompts])?;
        }
        let model = match &self.measuring.measurement.adapter {
            Some(folder) => inputs::attach(base, folder, machine.storage(), self.watch)?,
            None => base,
        };
        let mut measured = [None, None];
        for (evaluation, questions) in measured.iter_mut().zip(self.questions) {
            if !questions.prompts.is_empty() {
                *evaluation = Some(inputs::score(&model, questions, "eval", self.watch)?);
            }
        }
        Ok(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_have_the_spread_of_a_sample() {
        let report = RewardReport::of(&[0.0, 1.0, 0.5, 0.5]);
        assert_eq!((report.answers, report.mean), (4, 0.5));
        assert_eq!((report.min, report.max), (0.0, 1.0));
        // (0.25 + 0.25) / 3
        let sd = report.sd.expect("of several");
        assert!((sd - (0.5f64 / 3.0).sqrt()).abs() < 1e-15, "{sd}");
        assert_eq!(RewardReport::of(&[2.0]).sd, None);
        assert!(RewardReport::of(&[f64::NAN, 1.0]).mean.is_nan());
    }
}
