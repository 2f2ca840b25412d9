//! `zograd sweep`: a grid of learning rates and perturbation scales on a small budget, and which to take.

mod plot;

use crate::args::{SweepArgs, as_flags};
use crate::console::Console;
use crate::output::{answer, say};
use crate::signals::Stop;
use crate::table::Table;
use crate::threads::{asked_threads, set_threads};
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::experiment::{Advice, Spread, Sweep, SweepReport};
use zograd_runs::words::number;
use zograd_runs::{Blame, Ranks, RunError, Runs};
use zograd_tasks::metrics::Metric;

/// Runs the points that are not done yet, which ranks share, then compares all.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: &SweepArgs, ranks: &Ranks) -> Result<ExitCode> {
    let stop = Stop::on_signal()?;
    let runs = Runs::new().stopped_by(stop.asked.clone());
    let runs = runs.on_ranks(ranks.clone());
    let sweep = match args.train.resumed()? {
        Some(_) if !args.lists.is_empty() => {
            return Err(RunError::input(
                "`resume`: a sweep is resumed with the settings it had; no list of values goes with it",
            )
            .into());
        }
        Some(folder) => Sweep::reopen(folder, &args.train.given, &runs)?,
        None => {
            let (lists, given) = args.with_file()?;
            set_threads(asked_threads(&given))?;
            Sweep::new(lists, given, &runs)?
        }
    };
    set_threads(sweep.plan.threads())?;
    let mut console = Console::default().raising(stop.saves.clone());
    let report = sweep.run(&runs, &mut console)?;
    if ranks.leads() {
        draw(&report)?;
    }
    if args.train.json {
        answer(serde_json::to_string(&report)?)?;
    } else {
        print(&report)?;
    }
    if report.missing > 0 {
        say(format_args!(
            "interrupted, {} of {} points to do; resume with: zograd sweep --resume {}",
            report.missing,
            report.missing + report.points.len(),
            report.sweep.display()
        ));
        return Ok(stop.exit_code());
    }
    // as a run that blew up ends
    Ok(ExitCode::from(u8::from(report.best.is_none())))
}

/// Draws `sweep.svg`.
fn draw(report: &SweepReport) -> Result<()> {
    if let Some(svg) = plot::svg(&report.points, &report.best_of_each)? {
        let path = report.sweep.join("sweep.svg");
        zograd_files::write(&path, svg).on_file(&path)?;
    }
    Ok(())
}

fn print(report: &SweepReport) -> Result<()> {
    answer(table(report).without_empty_columns().text())?;
    answer("")?;
    if let Some(best) = &report.best {
        let what = match best.learnt_nothing {
            true => "best so far",
            false => "recommended",
        };
        tell(what, best, report)?;
        let others = report.best_of_each.iter().filter(|other| *other != best);
        for other in others {
            tell(&format!("best of {}", other.method), other, report)?;
        }
    } else if !report.points.is_empty() {
        answer("Every point diverged: try learning rates ten times lower.")?;
    }
    for remark in &report.remarks {
        answer(as_flags(remark))?;
    }
    answer(format_args!("sweep          {}", report.sweep.display()))?;
    Ok(())
}

/// A best point as flags, and what there is to say about it.
fn tell(what: &str, best: &Advice, report: &SweepReport) -> Result<()> {
    let metric = report.points.iter().find_map(|point| point.metric);
    let metric = metric.map_or("score", Metric::name);
    let eps = best
        .eps
        .map_or(String::new(), |eps| format!(" --eps {}", number(eps)));
    let loss = best
        .dev_loss
        .map_or(String::new(), |loss| format!(", loss {loss:.4}"));
    let score = match is_reward(report) {
        true => format!("{:.4}", best.dev_score),
        false => format!("{:.1} %", 100.0 * best.dev_score),
    };
    answer(format_args!(
        "{what:<14} --method {} --lr {}{eps} (development {metric} {score}{loss})",
        best.method,
        number(best.lr),
    ))?;
    for remark in &best.remarks {
        answer(format_args!("               {}", as_flags(remark)))?;
    }
    Ok(())
}

/// Rewards may be any numbers, and no shares.
fn is_reward(report: &SweepReport) -> bool {
    let mut metrics = report.points.iter().filter_map(|point| point.metric);
    metrics.any(|metric| metric == Metric::Reward)
}

fn table(report: &SweepReport) -> Table {
    let rewards = is_reward(report);
    let (dev, test) = match rewards {
        true => ("dev reward", "test reward"),
        false => ("dev %", "test %"),
    };
    let mut table = Table::new([
        "method",
        "lr",
        "eps",
        "seeds",
        "forwards",
        "first loss",
        "last loss",
        dev,
        "dev loss",
        test,
        "seconds",
        "",
    ]);
    let loss = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.4}"));
    let score = |x: Option<Spread>| match (x, rewards) {
        (None, _) => "-".into(),
        (Some(x), true) => x.text(4),
        (Some(x), false) => x.scaled(100.0).text(1),
    };
    for p in &report.points {
        let is_best = |b: &Advice| b.method == p.method && b.lr == p.lr && b.eps == p.eps;
        let remark = match &p.diverged {
            Some(reason) => format!("diverged: {reason}"),
            None if report.best_of_each.iter().any(is_best) => "best".into(),
            None => String::new(),
        };
        table.push(vec![
            p.method.clone(),
            number(p.lr),
            p.eps.map_or("-".into(), number),
            match p.runs.len() {
                1 => "-".into(),
                seeds => seeds.to_string(),
            },
            p.forwards.to_string(),
            loss(p.first_loss),
            loss(p.last_loss),
            score(p.dev_score),
            p.dev_loss.map_or("-".into(), |loss| loss.text(4)),
            score(p.test_score),
            format!("{:.1}", p.seconds),
            remark,
        ]);
    }
    table
}
