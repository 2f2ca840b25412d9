//! `zograd eval`: accuracy and predictions.

use crate::args::EvalArgs;
use crate::console::Console;
use crate::output::{answer, one_line, say};
use crate::table::Table;
use crate::threads::{asked_threads, set_threads};
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::words::count;
use zograd_runs::{ClassReport, EvalReport, Ranks, Runs};
use zograd_tasks::metrics::Metric;

/// Measures a model on a task.
///
/// # Errors
/// Wrong input, or a file that cannot be written.
pub fn run(args: &EvalArgs, ranks: &Ranks) -> Result<ExitCode> {
    let given = args.with_file()?;
    set_threads(asked_threads(&given))?;
    let runs = Runs::new().on_ranks(ranks.clone());
    let measured = runs.measure(given, &mut Console::default())?;
    if measured.non_finite > 0 {
        say(format_args!(
            "note: scores or logits of {} are not finite, which {}",
            count(measured.non_finite, "example"),
            match measured.rewards {
                Some(_) => "leaves no mean reward",
                None => "counts as wrong",
            }
        ));
    }
    if args.json {
        answer(serde_json::to_string(&measured)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let with_adapter = match measured.adapter {
        Some(_) => " with its adapter",
        None => "",
    };
    let scored = match (measured.rewards, measured.loss) {
        (Some(rewards), _) => format!(
            "{}{} ({}){}",
            in_words(&measured, Metric::Reward),
            rewards.sd.map_or(String::new(), |sd| format!(
                " with a standard deviation of {sd:.4}"
            )),
            count(rewards.answers, "answer"),
            exact(&measured)
        ),
        (None, Some(loss)) => format!(
            "{}{} ({}), loss {loss:.4}",
            in_words(&measured, measured.metric),
            exact(&measured),
            count(measured.labelled, "example")
        ),
        (None, None) => format!(
            "{} answered, none scored",
            count(measured.examples, "example")
        ),
    };
    answer(format_args!(
        "{}{with_adapter} on {}: {scored}, {:.1} s",
        measured.model, measured.task, measured.seconds
    ))?;
    if let Some(report) = &measured.classes {
        answer(format_args!(
            "\n{}\n\n{}",
            scores(report),
            confusion(report)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The classes with their scores.
fn scores(report: &ClassReport) -> String {
    let mut table = Table::new(["class", "precision", "recall", "f1", "rows"]);
    let cell = |x: f64| format!("{x:.4}");
    for class in &report.classes {
        let scores = [class.precision, class.recall, class.f1].map(cell);
        let name = std::iter::once(one_line(&class.name));
        let rows = std::iter::once(class.rows.to_string());
        table.push(name.chain(scores).chain(rows).collect());
    }
    let none = || String::new();
    table.push(vec![
        "macro".into(),
        none(),
        none(),
        cell(report.macro_f1),
        none(),
    ]);
    table.text()
}

/// How often each class was taken for each.
fn confusion(report: &ClassReport) -> String {
    let names: Vec<String> = report
        .classes
        .iter()
        .map(|class| one_line(&class.name))
        .collect();
    let head = std::iter::once("right \\ predicted".to_owned());
    let mut table = Table::new(head.chain(names.iter().cloned()));
    for (name, counts) in names.iter().zip(&report.confusion) {
        let counts = counts.iter().map(usize::to_string);
        table.push(std::iter::once(name.clone()).chain(counts).collect());
    }
    table.text()
}

/// A score for people.
fn in_words(measured: &EvalReport, metric: Metric) -> String {
    let score = measured
        .scores
        .get(metric.key())
        .and_then(|score| score.as_f64());
    // not a number, if one of the answers has none
    format!("{metric} {:.4}", score.unwrap_or(f64::NAN))
}

/// The share of answers that are right to the word, where that is not the score, and is known.
fn exact(measured: &EvalReport) -> String {
    let exact = Metric::ExactMatch;
    match measured.metric != exact && measured.scores.contains_key(exact.key()) {
        true => format!(", {}", in_words(measured, exact)),
        false => String::new(),
    }
}
