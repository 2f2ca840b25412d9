//! A grid of learning rates and perturbation scales on a small budget, and which to take.
//!
//! Every point is a run folder as any run makes them, below the folder of the sweep; `sweep.toml` says what belongs to
//! it.

use super::advice::{Advice, advise, compare};
use super::estimate::Estimate;
use super::lists::Lists;
use super::outcome::{Outcome, RunOutcome};
use super::plan::{Point, SweepPlan};
use crate::Runs;
use crate::error::{Blame, Result, RunError, refuse};
use crate::folder::{CONFIG, LOCK, Lock, RunFolder, RunRecord};
use crate::settings::{Given, Machine, MethodKind};
use crate::watch::Watch;
use crate::words::as_text;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use zograd_files::MAX_SMALL_BYTES;

/// Name of the file that makes a folder a sweep.
pub const SWEEP: &str = "sweep.toml";

/// A sweep: its plan, and where it goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sweep {
    /// Its folder.
    pub folder: PathBuf,
    /// Its points.
    pub plan: SweepPlan,
    /// No other process works on it.
    _lock: Arc<Lock>,
}

/// What `sweep.json` says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SweepReport {
    /// What came out of the points that are done.
    pub points: Vec<Outcome>,
    /// Points that are not done yet.
    pub missing: usize,
    /// The best point of each method, in the order of the plan; none for a method whose points all diverged.
    pub best_of_each: Vec<Advice>,
    /// The best of all.
    pub best: Option<Advice>,
    /// What there is to say of the methods side by side.
    pub remarks: Vec<String>,
    /// The folder.
    pub sweep: PathBuf,
}

/// How far a point is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing there to resume.
    New,
    Begun,
    Over,
}

impl Sweep {
    /// A new sweep: its folder, in which nothing but `sweep.toml` has been written.
    ///
    /// # Errors
    /// As [`SweepPlan::new`], or the folder cannot be made.
    pub fn new(lists: Lists, given: Given, runs: &Runs) -> Result<Self> {
        let out = given.text("out").map(PathBuf::from);
        let plan = SweepPlan::new(lists, given, runs.methods())?;
        let text = toml::to_string(&plan).or_input()?;
        let claimed = match out {
            Some(out) => RunFolder::claim(out)?,
            None => RunFolder::claim_free(&format!("{}-sweep", plan.task()))?,
        };
        let (folder, lock) = (claimed.path, claimed.lock.into());
        zograd_files::write(&folder.join(SWEEP), text)
            .about(format!("`out = {}`", folder.display()))?;
        Ok(Self {
            folder,
            plan,
            _lock: lock,
        })
    }

    /// A sweep that was interrupted; `more` may hold `threads` and no other setting.
    ///
    /// # Errors
    /// A folder without a sweep.
    pub fn reopen(folder: &Path, more: &Given) -> Result<Self> {
        let file = folder.join(SWEEP);
        let named = || format!("`resume = {}`", file.display());
        if let Err(key) = more.only(&["threads"]) {
            refuse!(
                "`resume`: a sweep is resumed with the settings it had ({}); only `threads` goes with it, not `{key}`",
                file.display()
            );
        }
        more.clone().take::<Machine>()?.complete()?;
        let text = zograd_files::read_text(&file, MAX_SMALL_BYTES)
            .about("this folder holds no sweep")
            .about(named())?;
        let lock = Lock::take(folder).about("`resume`")?.into();
        let mut plan: SweepPlan = toml::from_str(&text)
            .map_err(|e| RunError::input(e.message().trim()))
            .about(named())?;
        if let Some(threads) = more.get("threads") {
            plan.train.insert("threads".into(), threads.clone());
        }
        Ok(Self {
            folder: folder.to_owned(),
            plan,
            _lock: lock,
        })
    }

    /// The sweep of this plan in a folder that belongs to whoever holds `lock`, begun or not.
    ///
    /// # Errors
    /// The folder cannot be made, or holds something else.
    pub(super) fn within(folder: &Path, plan: SweepPlan, lock: &Arc<Lock>) -> Result<Self> {
        let file = folder.join(SWEEP);
        if !zograd_files::exists(&file) {
            let text = toml::to_string(&plan).or_input()?;
            std::fs::create_dir_all(folder).on_file(folder)?;
            zograd_files::write(&file, text).on_file(&file)?;
        }
        Ok(Self::in_folder(folder.to_owned(), plan, lock.clone()))
    }

    /// Runs of this plan in a folder that belongs to whoever holds `lock`.
    pub(super) fn in_folder(folder: PathBuf, plan: SweepPlan, lock: Arc<Lock>) -> Self {
        Self {
            folder,
            plan,
            _lock: lock,
        }
    }

    /// The folder of the run of a point with this seed.
    pub(super) fn run_folder(&self, point: &Point, seed: u64) -> PathBuf {
        self.folder.join(self.plan.folder(point, seed))
    }

    /// Runs the points that are not done yet, then compares all; `sweep.json` says the same.
    ///
    /// # Errors
    /// Wrong input, or something that failed while running.
    pub fn run(&self, runs: &Runs, watch: &mut dyn Watch) -> Result<SweepReport> {
        let points = self.plan.points();
        let mut estimate = Estimate::of(&self.plan, runs)?;
        watch.note(&estimate.in_words());
        let mut outcomes = Vec::new();
        'points: for point in &points {
            let mut done = Vec::new();
            for &seed in &self.plan.seed {
                let folder = self.run_folder(point, seed);
                let before = state(&folder)?;
                let start = Instant::now();
                if before != State::Over {
                    watch.note(&estimate.next(point, seed));
                    match self.work(point, seed, runs, watch) {
                        Err(RunError::Stopped(_)) => break 'points,
                        other => other.inspect_err(|_| withdraw(&self.folder))?,
                    }
                }
                // a run that was interrupted is no result, nor is a point without all its runs
                let run = RunRecord::read(&folder)?;
                if !run.over() {
                    break 'points;
                }
                match before {
                    State::New => {
                        let spent = run.place(estimate.unit());
                        estimate.ran(spent, start.elapsed().as_secs_f64());
                    }
                    State::Begun | State::Over => estimate.was_done(),
                }
                done.push(RunOutcome::of(seed, &run));
            }
            outcomes.push(Outcome::of(point, done));
        }
        let best_of_each = advise(&outcomes);
        let report = SweepReport {
            missing: points.len() - outcomes.len(),
            best: best_of_each.iter().min_by(|a, b| a.order(b)).cloned(),
            remarks: compare(&best_of_each, &outcomes).into_iter().collect(),
            best_of_each,
            points: outcomes,
            sweep: self.folder.clone(),
        };
        let path = self.folder.join("sweep.json");
        let text = serde_json::to_string_pretty(&report).while_running()? + "\n";
        zograd_files::write(&path, text).on_file(&path)?;
        Ok(report)
    }

    /// Makes the run of a point with this seed, or resumes it; a gradient method keeps no log to resume from and begins
    /// again.
    pub(super) fn work(
        &self,
        point: &Point,
        seed: u64,
        runs: &Runs,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let run = &self.run_folder(point, seed);
        if run.is_symlink() {
            refuse!(
                "{}: it is a link; a sweep writes its runs into its own folder",
                run.display()
            );
        }
        match state(run)? {
            State::Over => {}
            State::Begun if MethodKind::of(&point.method).has_log() => {
                let threads = self.plan.train.get("threads").cloned();
                runs.resume(run, Given::new().with_some("threads", threads), watch)?;
            }
            State::New | State::Begun => {
                if run.exists() {
                    // refused where another process is at work in it
                    drop(Lock::take(run)?);
                    std::fs::remove_dir_all(run).on_file(run)?;
                }
                let given = self.plan.settings(point, seed, runs.methods());
                runs.train(given.with("out", as_text(run)?), watch)?;
            }
        }
        Ok(())
    }
}

fn state(run: &Path) -> Result<State> {
    if !run.join(CONFIG).exists() {
        return Ok(State::New);
    }
    let read = RunRecord::read(run)?;
    Ok(match (read.over(), read.steps.is_empty()) {
        (true, _) => State::Over,
        // killed before the first step was written down
        (false, true) => State::New,
        (false, false) => State::Begun,
    })
}

/// Takes away a sweep that has not begun: input that is wrong leaves nothing behind.
fn withdraw(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.into_iter().map(|entry| entry.file_name());
    let own = [SWEEP, LOCK];
    if names
        .into_iter()
        .all(|name| own.iter().any(|own| name == *own))
    {
        // what stays is in nobody's way
        let _ = std::fs::remove_dir_all(folder);
    }
}
