//! The numbers of groups of runs.

use crate::table::Table;
use serde::Serialize;
use std::collections::BTreeMap;
use zograd_runs::Summary;
use zograd_runs::experiment::{Group, Spread};
use zograd_runs::folder::RunRecord;

/// The numbers of one group.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The model in a word.
    pub model: String,
    /// The task in a word.
    pub task: String,
    /// What sets the group apart from the others with this model and task.
    pub label: String,
    /// The settings in which the groups differ.
    pub settings: BTreeMap<String, String>,
    /// The folders of its runs.
    pub runs: Vec<String>,
    /// How many of them have done all their steps.
    pub finished: usize,
    /// Steps done.
    pub steps: Option<Spread>,
    /// Forward passes.
    pub forwards: Option<Spread>,
    /// Test score of the start weights.
    pub test_before: Option<Spread>,
    /// Test score of the best weights.
    pub test_after: Option<Spread>,
    /// Best development score.
    pub dev: Option<Spread>,
    /// Seconds of training.
    pub seconds: Option<Spread>,
    /// Peak memory of the process in bytes.
    pub peak_memory_bytes: Option<Spread>,
    /// The paper's result, in percent.
    pub paper_percent: Option<f64>,
}

impl Row {
    /// The numbers of this group.
    pub fn of(group: &Group<'_>) -> Self {
        let summary = |number: fn(&Summary) -> Option<f64>| {
            group.spread(|run: &RunRecord| run.summary.as_ref().and_then(number))
        };
        let folder = |run: &&RunRecord| run.folder.display().to_string();
        Self {
            model: group.model.clone(),
            task: group.task.clone(),
            label: group.label.clone(),
            settings: group.distinct.iter().cloned().collect(),
            runs: group.runs.iter().map(folder).collect(),
            finished: group.runs.iter().filter(|run| run.finished()).count(),
            steps: group.spread(|run| Some(run.steps.len() as f64)),
            forwards: group.spread(|run| Some(run.forwards() as f64)),
            test_before: summary(Summary::before),
            test_after: summary(Summary::after),
            dev: group.spread(|run| run.best().and_then(|best| best.dev_score.value())),
            seconds: group.spread(|run| Some(run.seconds())),
            peak_memory_bytes: summary(|s| s.peak_memory_bytes.map(|bytes| bytes as f64)),
            paper_percent: group.runs.iter().find_map(|run| {
                let paper = run.summary.as_ref()?.paper.as_ref()?;
                Some(paper.paper.percent)
            }),
        }
    }

    fn cells(&self) -> Vec<String> {
        let unfinished = self.runs.len() - self.finished;
        let mib = 1.0 / f64::from(1 << 20);
        vec![
            self.model.clone(),
            self.task.clone(),
            self.label.clone(),
            match unfinished {
                0 => self.runs.len().to_string(),
                n => format!("{} ({n} unfinished)", self.runs.len()),
            },
            cell(self.test_before, 1, 100.0),
            cell(self.test_after, 1, 100.0),
            self.paper_percent.map_or("-".into(), |p| format!("{p:.1}")),
            cell(self.dev, 1, 100.0),
            cell(self.forwards, 0, 1.0),
            cell(self.steps, 0, 1.0),
            cell(self.seconds, 1, 1.0),
            cell(self.peak_memory_bytes, 0, mib),
        ]
    }
}

/// The rows as a table.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "model",
        "task",
        "settings",
        "runs",
        "test before %",
        "test after %",
        "paper %",
        "best dev %",
        "forwards",
        "steps",
        "seconds",
        "peak MiB",
    ]);
    rows.iter().for_each(|row| table.push(row.cells()));
    table.left(3).without_empty_columns()
}

fn cell(spread: Option<Spread>, decimals: usize, unit: f64) -> String {
    match spread {
        Some(spread) if spread.low == spread.high => format!("{:.decimals$}", spread.mean * unit),
        Some(spread) => spread.scaled(unit).text(decimals),
        None => "-".into(),
    }
}
