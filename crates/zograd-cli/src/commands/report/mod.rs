//! `zograd report`: runs side by side, as a page, as pictures, as tables.

mod csv;
mod html;
mod pictures;
mod results;
mod style;
mod tensorboard;
mod waits;

use crate::args::ReportArgs;
use crate::output::{answer, say};
use anyhow::Result;
use results::Row;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zograd_runs::experiment::{Axis, COMPARISON, SWEEP, group};
use zograd_runs::folder::{CONFIG, RunRecord};
use zograd_runs::{Blame, RunError};

/// A file that is to be written.
type File = (PathBuf, Vec<u8>);

/// Compares runs.
///
/// # Errors
/// A folder that holds no run, a file that exists or cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let mut runs = Vec::new();
    let mut seen = BTreeMap::new();
    for folder in args.runs.iter().flat_map(|folder| run_folders(folder)) {
        let run = RunRecord::read(&folder)?;
        // by whatever way it is named
        let place = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        match seen.insert(place, folder.clone()) {
            None => runs.push(run),
            Some(first) => say(format_args!(
                "note: {} is {}; it counts once",
                folder.display(),
                first.display()
            )),
        }
    }
    if let Some(empty) = runs.iter().find(|run| run.steps.is_empty()) {
        return Err(RunError::input(format!(
            "{}: this run has not done a step yet; leave it out",
            empty.folder.display()
        ))
        .into());
    }
    let groups = group(&runs);
    let rows: Vec<Row> = groups.iter().map(Row::of).collect();
    let mut files: Vec<File> = Vec::new();
    let folders = [&args.csv, &args.svg, &args.png, &args.tensorboard];
    let other = args.json || folders.iter().any(|folder| folder.is_some());
    let page = match &args.out {
        None if other => None,
        None => Some(free_page()),
        Some(out) => Some(out.clone()),
    };
    if let Some(path) = &page {
        files.push((
            path.clone(),
            html::page(&runs, &groups, &rows, &Axis::USUAL, &[])?.into_bytes(),
        ));
    }
    if let Some(folder) = &args.csv {
        files.extend(below(folder, csv::tables(&groups)));
    }
    if let Some(folder) = &args.tensorboard {
        files.extend(below(folder, tensorboard::files(&runs)));
    }
    if args.svg.is_some() || args.png.is_some() {
        let drawn = pictures::svg(&groups)?;
        if let Some(folder) = &args.png {
            let png = pictures::png(&drawn)?;
            files.extend(below(folder, png));
        }
        if let Some(folder) = &args.svg {
            files.extend(below(folder, drawn));
        }
    }
    write(&files)?;
    if args.json {
        answer(serde_json::to_string(&rows)?)?;
    } else {
        answer(results::table(&rows).text())?;
    }
    for (path, _) in &files {
        say(format_args!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The page of these runs, with their curves along these axes, and notes below the results.
///
/// # Errors
/// A chart that cannot be drawn.
pub fn page(runs: &[RunRecord], axes: &[Axis], notes: &[String]) -> Result<String> {
    let groups = group(runs);
    let rows: Vec<Row> = groups.iter().map(Row::of).collect();
    html::page(runs, &groups, &rows, axes, notes)
}

/// A file for the page that does not exist yet.
fn free_page() -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("report-{n}.html")));
    let mut names = std::iter::once("report.html".into()).chain(numbered);
    let free = names.find(|path: &PathBuf| !zograd_files::exists(path));
    free.unwrap_or_else(|| "report.html".into())
}

/// The folder itself, or the points of a sweep, or the runs that a comparison compares.
fn run_folders(folder: &Path) -> Vec<PathBuf> {
    let folder = &match folder.join(COMPARISON).exists() {
        true => folder.join("runs"),
        false if !folder.join(SWEEP).exists() => return vec![folder.to_owned()],
        false => folder.to_owned(),
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut points: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join(CONFIG).exists())
        .collect();
    points.sort();
    points
}

fn below(folder: &Path, files: Vec<(String, Vec<u8>)>) -> impl Iterator<Item = File> {
    files
        .into_iter()
        .map(|(name, bytes)| (folder.join(name), bytes))
}

/// Writes all files or, if one of them exists, none.
fn write(files: &[File]) -> zograd_runs::Result<()> {
    for (path, _) in files {
        if zograd_files::exists(path) {
            return Err(RunError::input(format!(
                "{}: exists already; name another, or remove it",
                path.display()
            )));
        }
    }
    for (path, bytes) in files {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).about_file(path)?;
        }
        zograd_files::write(path, bytes).on_output(path)?;
    }
    Ok(())
}
