//! Tables for other programs: one row a run, a step, an evaluation.

use crate::csv::{Csv, Maybe};
use std::fmt::Display;
use zograd_runs::Summary;
use zograd_runs::experiment::Group;
use zograd_runs::folder::RunRecord;

/// `runs.csv`, `steps.csv` and `evals.csv`.
pub fn tables(groups: &[Group<'_>]) -> Vec<(String, Vec<u8>)> {
    let differing = differing(groups);
    let (mut runs, mut steps, mut evals) = (runs_head(&differing), steps_head(), evals_head());
    for group in groups {
        for run in &group.runs {
            runs_line(&mut runs, group, run, &differing);
            steps_lines(&mut steps, run);
            evals_lines(&mut evals, run);
        }
    }
    let files = [
        ("runs.csv", runs),
        ("steps.csv", steps),
        ("evals.csv", evals),
    ];
    files
        .map(|(name, csv)| (name.into(), csv.into_bytes()))
        .into()
}

/// Settings that `runs.csv` has always.
const SETTINGS: [&str; 9] = [
    "method",
    "tune",
    "lr",
    "eps",
    "pool",
    "batch-size",
    "dtype",
    "backend",
    "seed",
];

/// The other settings in which the groups differ. Steps have a column that says how many were done.
fn differing(groups: &[Group<'_>]) -> Vec<String> {
    let keys = groups.first().into_iter().flat_map(|group| &group.distinct);
    let known = ["model", "task", "steps"];
    let others = keys.map(|(key, _)| key.as_str());
    let others = others.filter(|key| !known.contains(key) && !SETTINGS.contains(key));
    others.map(String::from).collect()
}

fn runs_head(differing: &[String]) -> Csv {
    let settings = SETTINGS
        .into_iter()
        .chain(differing.iter().map(String::as_str));
    let settings: Vec<String> = settings.map(|key| key.replace('-', "_")).collect();
    let mut heads = vec!["run", "group", "model", "task"];
    heads.extend(settings.iter().map(String::as_str));
    heads.extend([
        "steps",
        "forwards",
        "seconds",
        "finished",
        "test_before",
        "test_after",
        "best_dev",
        "best_step",
        "peak_memory_bytes",
        "paper_percent",
    ]);
    Csv::new(&heads)
}

fn runs_line(csv: &mut Csv, group: &Group<'_>, run: &RunRecord, differing: &[String]) {
    let summary = run.summary.as_ref();
    let best = run.best();
    let folder = run.folder.display();
    let keys = SETTINGS
        .into_iter()
        .chain(differing.iter().map(String::as_str));
    let settings: Vec<String> = keys.map(|key| run.setting(key)).collect();
    let mut fields: Vec<&dyn Display> = vec![&folder, &group.name, &group.model, &group.task];
    fields.extend(settings.iter().map(|value| value as &dyn Display));
    let (steps, forwards, seconds) = (run.steps.len(), run.forwards(), run.seconds());
    let finished = run.finished();
    let numbers = [
        summary.and_then(Summary::before),
        summary.and_then(Summary::after),
        best.and_then(|b| b.dev_score.value()),
        best.map(|b| b.step as f64),
        summary.and_then(|s| s.peak_memory_bytes).map(|b| b as f64),
        summary
            .and_then(|s| s.paper.as_ref())
            .map(|p| p.paper.percent),
    ]
    .map(Maybe);
    fields.extend([&steps as &dyn Display, &forwards, &seconds, &finished]);
    fields.extend(numbers.iter().map(|number| number as &dyn Display));
    csv.line(&fields);
}

fn steps_head() -> Csv {
    Csv::new(&[
        "run",
        "step",
        "forwards",
        "seconds",
        "tokens",
        "loss",
        "projected_gradient",
        "update_norm",
        "lr",
        "skipped",
    ])
}

fn steps_lines(csv: &mut Csv, run: &RunRecord) {
    for step in &run.steps {
        csv.line(&[
            &run.folder.display(),
            &step.step,
            &step.forwards,
            &step.seconds,
            &step.tokens,
            &Maybe(Some(step.loss)),
            &step.projected_gradient,
            &Maybe(step.update_norm),
            &step.lr,
            &step.skipped.is_some(),
        ]);
    }
}

fn evals_head() -> Csv {
    Csv::new(&[
        "run",
        "step",
        "forwards",
        "metric",
        "dev_score",
        "dev_loss",
        "best",
        "eval_seconds",
    ])
}

fn evals_lines(csv: &mut Csv, run: &RunRecord) {
    for eval in &run.evals {
        csv.line(&[
            &run.folder.display(),
            &eval.step,
            &eval.forwards,
            &eval.dev_score.metric().key(),
            &Maybe(eval.dev_score.value()),
            &Maybe(Some(eval.dev_loss)),
            &eval.best,
            &eval.eval_seconds,
        ]);
    }
}
