//! The file of predictions: what a model answered, row by row.

use crate::error::{Blame, Result, refuse};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use zograd_tasks::metrics::Metric;
use zograd_tasks::{Row, Sample, Task};
use zograd_trainer::{Answer, Evaluation, Prediction};

/// Fields that data sets have their rows' names in.
const ID_FIELDS: [&str; 3] = ["id", "idx", "guid"];

/// What was asked.
pub(crate) struct Asked<'a> {
    pub task: &'a dyn Task,
    /// What the rows call themselves, in their order.
    pub ids: &'a [Option<Value>],
    /// What the task made of them.
    pub samples: &'a [Sample],
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    /// Row number in its split.
    index: usize,
    /// What the row calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(flatten)]
    answer: Answered<'a>,
    /// What the answer is worth, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<f64>,
}

/// What is right stands there where the row says it.
#[derive(Serialize)]
#[serde(untagged)]
enum Answered<'a> {
    Choice {
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        label_name: Option<String>,
        #[serde(skip_serializing_if = "<[usize]>::is_empty")]
        correct: &'a [usize],
        prediction: usize,
        prediction_name: String,
        scores: &'a [f64],
        /// The exponentials of the scores, as shares of their sum.
        probabilities: Vec<f64>,
    },
    Text {
        prediction: Option<&'a str>,
        #[serde(flatten)]
        right: Option<Right<'a>>,
    },
}

/// What was right, and what the answer is worth by it.
#[derive(Serialize)]
struct Right<'a> {
    answers: &'a [String],
    f1: f64,
    exact_match: bool,
}

/// What a row calls itself.
pub(crate) fn id(row: &Row) -> Option<Value> {
    let named = ID_FIELDS.iter().find_map(|field| row.fields().get(*field));
    named.cloned()
}

/// Refuses a file, named by the setting `key`, that exists, or a folder that does not or cannot be written into, before any work is done.
///
/// # Errors
/// It does, or does not, or cannot.
pub(crate) fn check(key: &str, path: &Path) -> Result<()> {
    let named = path.display();
    if zograd_files::exists(path) {
        refuse!("`{key} = {named}`: the file exists; nothing is written over");
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        refuse!("`{key} = {named}`: there is no folder {}", folder.display());
    }
    check_writable(folder).about(format!("`{key} = {named}`"))
}

/// Asks the system, without a trace in the folder.
#[cfg(unix)]
fn check_writable(folder: &Path) -> std::io::Result<()> {
    use rustix::fs::{Access, access};
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

#[cfg(not(unix))]
fn check_writable(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Writes the whole file or none of it, in the order of the rows.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(
    path: &Path,
    asked: &Asked<'_>,
    evaluations: [Option<&Evaluation>; 2],
) -> Result<()> {
    let predictions = evaluations.into_iter().flatten().flat_map(|e| {
        let is_reward = e.metric == Metric::Reward;
        let reward = move |p: &Prediction| is_reward.then_some(p.score);
        e.predictions.iter().map(move |p| (p, reward(p)))
    });
    let mut predictions: Vec<(&Prediction, Option<f64>)> = predictions.collect();
    predictions.sort_by_key(|(prediction, _)| prediction.index);
    let names = asked.task.option_names();
    let mut lines = Vec::new();
    for (((prediction, reward), id), sample) in predictions.iter().zip(asked.ids).zip(asked.samples)
    {
        let line = Line {
            index: prediction.index,
            id: id.as_ref(),
            answer: answered(&prediction.answer, sample, names.as_deref()),
            reward: *reward,
        };
        serde_json::to_writer(&mut lines, &line).while_running()?;
        lines.push(b'\n');
    }
    zograd_files::create(path, lines).while_running()
}

fn answered<'a>(answer: &'a Answer, sample: &Sample, names: Option<&[String]>) -> Answered<'a> {
    let is_labelled = !sample.correct.is_empty();
    match answer {
        Answer::Choice {
            label,
            correct,
            prediction,
            scores,
        } => {
            let label = is_labelled.then_some(*label);
            Answered::Choice {
                label,
                label_name: label.map(|label| name(sample, names, label)),
                correct,
                prediction: *prediction,
                prediction_name: name(sample, names, *prediction),
                scores,
                probabilities: shares(scores),
            }
        }
        Answer::Text {
            prediction,
            answers,
            f1,
            exact_match,
        } => Answered::Text {
            prediction: prediction.as_deref(),
            right: is_labelled.then_some(Right {
                answers,
                f1: *f1,
                exact_match: *exact_match,
            }),
        },
    }
}

/// What the task calls an option, or its text.
pub(crate) fn name(sample: &Sample, names: Option<&[String]>, option: usize) -> String {
    let named = names.and_then(|names| names.get(option));
    let text = sample.cloze.endings.get(option);
    let text = || text.map_or("", |text| text.trim()).to_owned();
    named.cloned().unwrap_or_else(text)
}

/// The exponentials of numbers as shares of their sum; NaN where one is not finite.
pub(crate) fn shares(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_probabilities() {
        let shares = shares(&[-800.0, -800.0 + 3f64.ln()]);
        assert!((shares[0] - 0.25).abs() < 1e-12 && (shares[1] - 0.75).abs() < 1e-12);
        assert!(
            super::shares(&[f64::NAN, 0.0])
                .iter()
                .all(|share| share.is_nan())
        );
    }
}
