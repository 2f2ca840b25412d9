//! `zograd compare`: methods at equal budgets, each at its own best rate.

use super::report;
use crate::args::{CompareArgs, as_flags};
use crate::console::Console;
use crate::csv::{Csv, Maybe};
use crate::output::{answer, say};
use crate::signals::Stop;
use crate::table::Table;
use crate::threads::{asked_threads, set_threads};
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::experiment::{
    Axis, Comparison, ComparisonReport, Interval, MethodReport, Reached, Rules, Target,
};
use zograd_runs::folder::RunRecord;
use zograd_runs::words::count;
use zograd_runs::words::number;
use zograd_runs::{Blame, Ranks, RunError, Runs};
use zograd_tasks::metrics::Metric;

/// Tunes and runs what is not done yet, which ranks share, then compares all.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: &CompareArgs, ranks: &Ranks) -> Result<ExitCode> {
    let stop = Stop::on_signal()?;
    let runs = Runs::new().stopped_by(stop.asked.clone());
    let runs = runs.on_ranks(ranks.clone());
    let train = &args.sweep.train;
    let comparison = match train.resumed()? {
        Some(_) if !args.sweep.lists.is_empty() || args.rules != Rules::default() => {
            return Err(RunError::input(
                "`resume`: a comparison is resumed with the settings it had; nothing but `threads` goes with it",
            )
            .into());
        }
        Some(folder) => Comparison::reopen(folder, &train.given, &runs)?,
        None => {
            let (lists, given) = args.sweep.with_file()?;
            set_threads(asked_threads(&given))?;
            Comparison::new(lists, args.rules.clone(), given, &runs)?
        }
    };
    set_threads(comparison.plan.threads())?;
    let mut console = Console::default().raising(stop.saves.clone());
    let report = comparison.run(&runs, &mut console)?;
    if ranks.leads() {
        write(&report)?;
    }
    match train.json {
        true => answer(serde_json::to_string(&report)?)?,
        false => print(&report)?,
    }
    if report.missing > 0 {
        say(format_args!(
            "interrupted, {} to do; resume with: zograd compare --resume {}",
            count(report.missing, "run"),
            report.comparison.display()
        ));
        return Ok(stop.exit_code());
    }
    // as a run that blew up ends
    let nothing = report.methods.iter().all(|method| method.runs.is_empty());
    Ok(ExitCode::from(u8::from(nothing)))
}

/// Writes `compare.csv` and, where there are runs, the page that `zograd report` makes of them.
fn write(report: &ComparisonReport) -> Result<()> {
    let csv = report.comparison.join("compare.csv");
    zograd_files::write(&csv, numbers(report)).on_file(&csv)?;
    let folders = report.methods.iter().flat_map(|method| &method.runs);
    let runs: Vec<RunRecord> = folders
        .map(|folder| RunRecord::read(folder))
        .collect::<zograd_runs::Result<_>>()?;
    if !runs.is_empty() {
        let notes: Vec<String> = notes(report).collect();
        let page = report.comparison.join("compare.html");
        let mut axes = Axis::USUAL.to_vec();
        if !axes.contains(&report.budget) {
            axes.push(report.budget);
        }
        zograd_files::write(&page, report::page(&runs, &axes, &notes)?).on_file(&page)?;
    }
    Ok(())
}

/// What there is to say of how each method was tuned.
fn notes(report: &ComparisonReport) -> impl Iterator<Item = String> {
    let of = |method: &MethodReport| {
        let name = method.method.clone();
        let remarks = method.remarks.clone().into_iter();
        remarks.map(move |remark| format!("tuning of {name}: {remark}"))
    };
    report.methods.iter().flat_map(of)
}

/// One line a method and quantity.
fn numbers(report: &ComparisonReport) -> Vec<u8> {
    let heads = [
        "method",
        "lr",
        "eps",
        "batch_size",
        "quantity",
        "runs",
        "median",
        "low",
        "high",
    ];
    let mut csv = Csv::new(&heads);
    for m in &report.methods {
        let reached = |what: Option<Reached>, number: fn(&Reached) -> Option<f64>| {
            what.map(|what| (what.runs, number(&what), None, None))
        };
        let interval =
            |x: Option<Interval>| x.map(|x| (x.runs, Some(x.median), Some(x.low), Some(x.high)));
        for (name, cell) in [
            ("forwards", interval(m.forwards)),
            ("examples", interval(m.examples)),
            ("tokens", interval(m.tokens)),
            ("test_before", interval(m.test_before)),
            ("test_after", interval(m.test_after)),
            ("dev_score", interval(m.dev_score)),
            ("dev_loss", interval(m.dev_loss)),
            ("mean_dev_loss", interval(m.mean_dev_loss)),
            ("forwards_to_loss", reached(m.to_loss, |r| r.forwards)),
            ("examples_to_loss", reached(m.to_loss, |r| r.examples)),
            ("tokens_to_loss", reached(m.to_loss, |r| r.tokens)),
            ("seconds_to_loss", reached(m.to_loss, |r| r.seconds)),
            ("forwards_to_score", reached(m.to_score, |r| r.forwards)),
            ("examples_to_score", reached(m.to_score, |r| r.examples)),
            ("tokens_to_score", reached(m.to_score, |r| r.tokens)),
            ("seconds_to_score", reached(m.to_score, |r| r.seconds)),
            ("seconds", interval(m.seconds)),
            ("peak_memory_bytes", interval(m.peak_memory_bytes)),
        ] {
            let Some((runs, median, low, high)) = cell else {
                continue;
            };
            let [lr, eps, median, low, high] = [m.lr, m.eps, median, low, high].map(Maybe);
            let batch = Maybe(m.batch_size.map(|size| size as f64));
            csv.line(&[
                &m.method, &lr, &eps, &batch, &name, &runs, &median, &low, &high,
            ]);
        }
    }
    csv.into_bytes()
}

fn print(report: &ComparisonReport) -> Result<()> {
    if report.methods.is_empty() {
        // still being tuned
        return Ok(());
    }
    answer(table(report).without_empty_columns().text())?;
    answer("")?;
    if let Some(line) = target(&report.target, report.metric) {
        answer(line)?;
    }
    answer("in brackets: where the median over the seeds lies with 95% (bootstrap)")?;
    for note in notes(report) {
        answer(as_flags(&note))?;
    }
    for method in &report.methods {
        if method.lr.is_none() && report.missing == 0 {
            let method = &method.method;
            answer(format_args!(
                "{method}: every rate diverged; try learning rates ten times lower"
            ))?;
        }
    }
    answer(format_args!(
        "comparison     {}",
        report.comparison.display()
    ))?;
    Ok(())
}

/// What has to be reached, in a line.
fn target(target: &Target, metric: Option<Metric>) -> Option<String> {
    let score = target.score.map(|score| {
        let name = metric.map_or("score", Metric::name);
        match metric {
            Some(Metric::Reward) => format!("development {name} {score:.4}"),
            _ => format!("development {name} {:.1} %", 100.0 * score),
        }
    });
    let loss = target
        .loss
        .map(|loss| format!("development loss {loss:.4}"));
    let both: Vec<String> = [loss, score].into_iter().flatten().collect();
    let of = target.of.as_ref().map_or(String::new(), |method| {
        format!(" (what more than half of the runs of {method} reach)")
    });
    (!both.is_empty()).then(|| format!("to be reached: {}{of}", both.join(", ")))
}

fn table(report: &ComparisonReport) -> Table {
    let (budget, unit) = (report.budget, report.budget.name());
    // seconds have a column in any case
    let (head, spent): (_, fn(&MethodReport) -> Option<Interval>) = match budget {
        Axis::Examples => (unit, |m| m.examples),
        Axis::Tokens => (unit, |m| m.tokens),
        _ => ("forwards", |m| m.forwards),
    };
    let (to_loss, to_score) = (
        format!("{unit} to the loss"),
        format!("{unit} to the score"),
    );
    // rewards may be any numbers, and no shares
    let (before, after, dev, decimals, share) = match report.metric {
        Some(Metric::Reward) => ("test before", "test after", "dev reward", 4, 1.0),
        _ => ("test before %", "test after %", "dev %", 1, 100.0),
    };
    let mut table = Table::new([
        "method",
        "lr",
        "eps",
        "batch",
        "seeds",
        head,
        before,
        after,
        dev,
        "dev loss",
        "mean dev loss",
        &to_loss,
        &to_score,
        "seconds to the loss",
        "seconds",
        "peak MiB",
    ]);
    let cell = |x: Option<Interval>, decimals: usize, unit: f64| {
        x.map_or("-".into(), |x| x.text(decimals, unit))
    };
    for m in &report.methods {
        table.push(vec![
            m.method.clone(),
            m.lr.map_or("-".into(), number),
            m.eps.map_or("-".into(), number),
            m.batch_size.map_or("-".into(), |size| size.to_string()),
            seeds(m),
            cell(spent(m), 0, 1.0),
            cell(m.test_before, decimals, share),
            cell(m.test_after, decimals, share),
            cell(m.dev_score, decimals, share),
            cell(m.dev_loss, 4, 1.0),
            cell(m.mean_dev_loss, 4, 1.0),
            reached(m.to_loss, |r| r.on(budget)),
            reached(m.to_score, |r| r.on(budget)),
            match budget {
                Axis::Seconds => "-".into(),
                _ => reached(m.to_loss, |r| r.seconds),
            },
            cell(m.seconds, 1, 1.0),
            cell(m.peak_memory_bytes, 0, 1.0 / f64::from(1 << 20)),
        ]);
    }
    table
}

fn seeds(method: &MethodReport) -> String {
    match method.stopped {
        0 => method.runs.len().to_string(),
        stopped => format!("{} ({stopped} stopped)", method.runs.len()),
    }
}

/// A median, and how many runs there is one of, if not all reached it.
fn reached(what: Option<Reached>, number: impl Fn(&Reached) -> Option<f64>) -> String {
    let Some(what) = what else {
        return "-".into();
    };
    let median = number(&what).map_or("never".into(), |x| format!("{x:.0}"));
    match what.runs == what.of {
        true => median,
        false => format!("{median} ({} of {})", what.runs, what.of),
    }
}
