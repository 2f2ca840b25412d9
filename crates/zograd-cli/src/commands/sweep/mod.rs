//! `zograd sweep`: a grid of learning rates and perturbation scales on a small budget, and which to take.

mod plot;

use crate::args::{SweepArgs, as_flags};
use crate::console::Console;
use crate::output::{answer, say};
use crate::signals::Stop;
use crate::table::Table;
use crate::threads::set_threads;
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::experiment::{Advice, Sweep, SweepReport};
use zograd_runs::words::number;
use zograd_runs::{Blame, RunError, Runs};

/// Runs the points that are not done yet, then compares all.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: &SweepArgs) -> Result<ExitCode> {
    let stop = Stop::on_signal()?;
    let runs = Runs::new().stopped_by(stop.asked.clone());
    let sweep = match args.train.resumed()? {
        Some(_) if !args.lists.is_empty() => {
            return Err(RunError::input(
                "`resume`: a sweep is resumed with the settings it had; no list of values goes with it",
            )
            .into());
        }
        Some(folder) => Sweep::reopen(folder, &args.train.given)?,
        None => Sweep::new(args.lists.clone(), args.train.with_file()?, &runs)?,
    };
    set_threads(sweep.plan.train.get("threads"))?;
    let mut console = Console::default().raising(stop.saves.clone());
    let report = sweep.run(&runs, &mut console)?;
    draw(&report)?;
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
    Ok(ExitCode::SUCCESS)
}

/// Draws `sweep.svg`.
fn draw(report: &SweepReport) -> Result<()> {
    let best = report.best.as_ref();
    let best = best.map(|b| (b.method.as_str(), b.lr, b.eps));
    if let Some(svg) = plot::svg(&report.points, best)? {
        let path = report.sweep.join("sweep.svg");
        zograd_files::write(&path, svg).on_file(&path)?;
    }
    Ok(())
}

fn print(report: &SweepReport) -> Result<()> {
    let mut table = Table::new([
        "method",
        "lr",
        "eps",
        "forwards",
        "first loss",
        "last loss",
        "dev %",
        "test %",
        "seconds",
        "",
    ]);
    let loss = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.4}"));
    let percent = |x: Option<f64>| x.map_or("-".into(), |x| format!("{:.1}", 100.0 * x));
    for p in &report.points {
        let is_best = |b: &Advice| b.method == p.method && b.lr == p.lr && b.eps == p.eps;
        let remark = match &p.diverged {
            Some(reason) => format!("diverged: {reason}"),
            None if report.best.as_ref().is_some_and(is_best) => "best".into(),
            None => String::new(),
        };
        table.push(vec![
            p.method.clone(),
            number(p.lr),
            p.eps.map_or("-".into(), number),
            p.forwards.to_string(),
            loss(p.first_loss),
            loss(p.last_loss),
            percent(p.dev_score),
            percent(p.test_score),
            format!("{:.1}", p.seconds),
            remark,
        ]);
    }
    answer(table.text())?;
    match &report.best {
        Some(best) => {
            answer(format_args!(
                "\nrecommended    --method {} --lr {}{} (development score {:.1} %)",
                best.method,
                number(best.lr),
                best.eps
                    .map_or(String::new(), |eps| format!(" --eps {}", number(eps))),
                100.0 * best.dev_score
            ))?;
            for remark in &best.remarks {
                answer(as_flags(remark))?;
            }
        }
        None if report.points.is_empty() => {}
        None => answer("\nEvery point diverged: try learning rates ten times lower.")?,
    }
    answer(format_args!("sweep          {}", report.sweep.display()))?;
    Ok(())
}
