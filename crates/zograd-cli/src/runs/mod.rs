//! What run folders say, for those who look at runs afterwards: `report` and `sweep`.

mod curve;
mod group;
pub mod metrics;
mod spread;

pub use curve::{Axis, Curve, smooth};
pub use group::{Group, group, shared};
pub use spread::Spread;

use crate::environment::Environment;
use anyhow::{Context, Result, bail};
use metrics::Line;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use zograd_tasks::SplitCounts;
use zograd_tasks::metrics::Metric;
use zograd_trainer::{EvalRecord, StepRecord, StopReason};

/// A run, finished or not.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its folder, as it was named.
    pub folder: PathBuf,
    /// Its `config.toml`.
    pub settings: toml::Table,
    /// Metrics of its steps.
    pub steps: Vec<StepRecord>,
    /// Its evaluations.
    pub evals: Vec<EvalRecord>,
    /// Its `summary.json`, if it came to an end.
    pub summary: Option<Summary>,
    /// What it ran on.
    pub environments: Vec<Environment>,
}

/// What is read of `summary.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Summary {
    /// How many examples there were.
    pub counts: SplitCounts,
    /// What the scores are.
    pub metric: Metric,
    /// Test loss of the start weights.
    pub loss_before: f64,
    /// Peak resident memory of the process in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Why the run ended.
    pub stop: StopReason,
    /// The paper's result.
    #[serde(default)]
    pub paper: Option<PaperResult>,
    /// The rest, among it the scores by the names of their metrics.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Summary {
    /// Score of the start weights on the test examples.
    pub fn before(&self) -> Option<f64> {
        self.score("before")
    }

    /// Score of the best weights on the test examples.
    pub fn after(&self) -> Option<f64> {
        self.score("after")
    }

    fn score(&self, when: &str) -> Option<f64> {
        let name = format!("{}_{when}", self.metric.key());
        self.rest.get(&name)?.as_f64()
    }
}

/// What is read of the paper's result.
#[derive(Clone, Debug, Deserialize)]
pub struct PaperResult {
    /// In percent.
    pub percent: f64,
}

impl Run {
    /// Reads a run folder.
    ///
    /// # Errors
    /// A folder that is none, a `config.toml` or `summary.json` that does not parse.
    pub fn read(folder: &Path) -> Result<Self> {
        let named = |file: &str| folder.join(file).display().to_string();
        let config = match std::fs::read_to_string(folder.join("config.toml")) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => bail!(
                "{}: no run folder (it has no config.toml); name folders that `zograd train` made",
                folder.display()
            ),
            Err(e) => return Err(e).with_context(|| named("config.toml")),
        };
        let settings = config.parse().map_err(|e: toml::de::Error| {
            anyhow::anyhow!("{}: {}", named("config.toml"), e.message())
        })?;
        let metrics = match std::fs::read(folder.join("metrics.jsonl")) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e).with_context(|| named("metrics.jsonl")),
        };
        let summary = match std::fs::read_to_string(folder.join("summary.json")) {
            Ok(text) => Some(serde_json::from_str(&text).with_context(|| named("summary.json"))?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(e).with_context(|| named("summary.json")),
        };
        let mut run = Self {
            folder: folder.to_owned(),
            settings,
            steps: Vec::new(),
            evals: Vec::new(),
            summary,
            environments: Environment::read(folder),
        };
        for (line, _) in metrics::lines(&metrics) {
            match line {
                Line::Step(step) => run.steps.push(step),
                Line::Eval(eval) => run.evals.push(eval),
            }
        }
        Ok(run)
    }

    /// Whether all its steps are done.
    pub fn finished(&self) -> bool {
        let stop = self.summary.as_ref().map(|summary| summary.stop);
        stop == Some(StopReason::Finished)
    }

    /// Whether nothing is left to do: all steps are done, or a guard stopped it.
    pub fn over(&self) -> bool {
        let stop = self.summary.as_ref().map(|summary| summary.stop);
        stop.is_some_and(|stop| stop != StopReason::Interrupted)
    }

    /// The evaluation whose weights were kept.
    pub fn best(&self) -> Option<&EvalRecord> {
        self.evals.iter().rfind(|eval| eval.best)
    }

    /// What its scores are, if it was evaluated.
    pub fn metric(&self) -> Option<Metric> {
        self.evals.first().map(|eval| eval.dev_score.metric())
    }

    /// Seconds of training, evaluation not counted.
    pub fn seconds(&self) -> f64 {
        self.steps.last().map_or(0.0, |step| step.seconds)
    }

    /// Forward passes of training.
    pub fn forwards(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.forwards)
    }

    /// A setting as text, `-` if it is not there.
    pub fn setting(&self, key: &str) -> String {
        self.settings.get(key).map_or_else(|| "-".into(), value)
    }
}

/// A TOML value as people write it: `1e-5` rather than `0.00001`, no quotes.
pub fn value(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(x) => number(*x),
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number as people write it.
pub fn number(x: f64) -> String {
    if x != 0.0 && (x.abs() < 0.01 || x.abs() >= 1e6) {
        format!("{x:e}")
    } else {
        x.to_string()
    }
}
