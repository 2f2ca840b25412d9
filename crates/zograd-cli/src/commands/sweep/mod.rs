//! `zograd sweep`: a grid of learning rates and perturbation scales on a small budget, and which to take.
//!
//! Every point is a run folder as `zograd train` makes them, below the folder of the sweep; `sweep.toml` says
//! what belongs to it.

mod advice;
mod grid;
mod outcome;
mod plot;

use super::eval::set_threads;
use super::train;
use crate::args::{SweepArgs, TrainArgs};
use crate::config_file;
use crate::failure::WhileRunning;
use crate::inputs::EMBEDDED_TASK;
use crate::output::{answer, say};
use crate::run_folder::RunFolder;
use crate::runs::{Run, number};
use crate::signals::Stop;
use crate::table::Table;
use advice::{Advice, advise};
use anyhow::{Context, Result, bail};
use grid::{Grid, Point};
use outcome::Outcome;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Name of the file that makes a folder a sweep.
pub const SETTINGS: &str = "sweep.toml";

/// What `sweep.json` and `--json` say.
#[derive(Serialize)]
struct Report<'a> {
    points: &'a [Outcome],
    /// Points that are not done yet.
    missing: usize,
    best: Option<&'a Advice>,
    sweep: &'a Path,
}

/// Runs the points that are not done yet, then compares all.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: &SweepArgs) -> Result<ExitCode> {
    let (folder, grid) = match &args.train.resume {
        Some(folder) => (folder.clone(), reopen(args, folder)?),
        None => plan(args)?,
    };
    set_threads(grid.train.threads)?;
    let stop = Stop::on_signal()?;
    let points = grid.points();
    let mut outcomes = Vec::new();
    for (number, point) in points.iter().enumerate() {
        let run = folder.join(point.folder());
        if state(&run)? != State::Over {
            say(format_args!(
                "point {} of {}: {}, lr {:e}{}",
                number + 1,
                points.len(),
                point.method_name(),
                point.lr,
                point
                    .eps
                    .map_or(String::new(), |eps| format!(", eps {eps:e}"))
            ));
            work(&grid, point, &run, &stop).inspect_err(|_| withdraw(&folder))?;
        }
        // a point that was interrupted is no result
        let run = Run::read(&run)?;
        if !run.over() {
            break;
        }
        outcomes.push(Outcome::of(point, &run));
    }
    let missing = points.len() - outcomes.len();
    let best = advise(&outcomes);
    let report = Report {
        points: &outcomes,
        missing,
        best: best.as_ref(),
        sweep: &folder,
    };
    keep(&report).context(WhileRunning)?;
    if args.train.json {
        answer(serde_json::to_string(&report)?)?;
    } else {
        print(&report)?;
    }
    if missing > 0 {
        say(format_args!(
            "interrupted, {missing} of {} points to do; go on with: zograd sweep --resume {}",
            points.len(),
            folder.display()
        ));
        return Ok(stop.exit_code());
    }
    Ok(ExitCode::SUCCESS)
}

/// A new sweep: its folder, in which nothing but `sweep.toml` has been written, and its grid.
fn plan(args: &SweepArgs) -> Result<(PathBuf, Grid)> {
    let flags = &args.train;
    let shared = match &flags.config {
        Some(file) => config_file::overlay(flags, file)?,
        None => flags.clone(),
    };
    let mut grid = Grid::new(args, shared)?;
    for point in grid.points() {
        let resolved = train::check(&grid.settings(&point))?;
        // paths that mean the same from any folder
        grid.train = TrainArgs {
            model: resolved.model,
            tokenizer: resolved.tokenizer,
            task: resolved.task,
            data: resolved.data,
            ..grid.train
        };
    }
    let folder = match &flags.out {
        Some(path) => path.clone(),
        None => {
            let task = grid.train.task.as_deref().unwrap_or(EMBEDDED_TASK);
            // of a task's file its name
            let task = Path::new(task).file_stem().unwrap_or_default();
            RunFolder::free(&format!("{}-sweep", task.display()))
        }
    };
    RunFolder::check(&folder)?;
    let named = || format!("--out {}", folder.display());
    let text = toml::to_string(&grid)?;
    std::fs::create_dir_all(&folder).with_context(named)?;
    zograd_files::replace(&folder.join(SETTINGS), |path| std::fs::write(path, text))
        .with_context(named)?;
    Ok((folder, grid))
}

/// The grid of a sweep that was interrupted.
fn reopen(args: &SweepArgs, folder: &Path) -> Result<Grid> {
    let alone = SweepArgs {
        train: TrainArgs {
            resume: args.train.resume.clone(),
            threads: args.train.threads,
            json: args.train.json,
            ..TrainArgs::default()
        },
        ..SweepArgs::default()
    };
    let file = folder.join(SETTINGS);
    let named = || format!("--resume {}", file.display());
    if format!("{alone:?}") != format!("{args:?}") {
        bail!(
            "--resume: a sweep goes on with the settings it had ({}); only --threads and --json go with it",
            file.display()
        );
    }
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{}: this folder holds no sweep", named()))?;
    let mut grid: Grid = toml::from_str(&text)
        .map_err(|e| anyhow::anyhow!("{}: {}", named(), e.message().trim()))?;
    if args.train.threads.is_some() {
        grid.train.threads = args.train.threads;
    }
    Ok(grid)
}

/// How far a point is.
#[derive(PartialEq, Eq)]
enum State {
    /// Nothing there to go on with.
    New,
    Begun,
    Over,
}

fn state(run: &Path) -> Result<State> {
    if !run.join("config.toml").exists() {
        return Ok(State::New);
    }
    let read = Run::read(run)?;
    Ok(match (read.over(), read.steps.is_empty()) {
        (true, _) => State::Over,
        // killed before the first step was written down
        (false, true) => State::New,
        (false, false) => State::Begun,
    })
}

/// Runs a point, or goes on with it; a gradient method keeps no log to go on with and begins again.
fn work(grid: &Grid, point: &Point, run: &Path, stop: &Stop) -> Result<()> {
    match state(run)? {
        State::Over => {}
        State::Begun if !point.method.has_gradient() => {
            train::resume(run, stop)?;
        }
        State::New | State::Begun => {
            if run.exists() {
                std::fs::remove_dir_all(run).with_context(|| run.display().to_string())?;
            }
            let settings = TrainArgs {
                out: Some(run.to_owned()),
                ..grid.settings(point)
            };
            train::begin(&settings, stop)?;
        }
    }
    Ok(())
}

/// Takes away a sweep that has not begun: input that is wrong leaves nothing behind.
fn withdraw(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    if entries
        .into_iter()
        .all(|entry| entry.file_name() == SETTINGS)
    {
        // what stays is in nobody's way
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Writes `sweep.json` and `sweep.svg`.
fn keep(report: &Report<'_>) -> Result<()> {
    let path = report.sweep.join("sweep.json");
    let text = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    let best = report.best.map(|b| (b.method.as_str(), b.lr, b.eps));
    if let Some(svg) = plot::svg(report.points, best)? {
        let path = report.sweep.join("sweep.svg");
        std::fs::write(&path, svg).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn print(report: &Report<'_>) -> Result<()> {
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
    for p in report.points {
        let is_best = |b: &Advice| b.method == p.method && b.lr == p.lr && b.eps == p.eps;
        let remark = match &p.diverged {
            Some(reason) => format!("diverged: {reason}"),
            None if report.best.is_some_and(is_best) => "best".into(),
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
    match report.best {
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
                answer(remark)?;
            }
        }
        None if report.points.is_empty() => {}
        None => answer("\nEvery point diverged: try learning rates ten times lower.")?,
    }
    answer(format_args!("sweep          {}", report.sweep.display()))?;
    Ok(())
}
