//! A grid of learning rates and perturbation scales on a small budget, and which to take.
//!
//! Every point is a run folder as any run makes them, below the folder of the sweep; `sweep.toml` says what belongs to
//! it.

use super::advice::{Advice, advise, compare};
use super::belongs::{self, Origins};
use super::dealt::{self, State};
use super::estimate::Estimate;
use super::kept;
use super::lists::Lists;
use super::opened::{PLACES, Plan};
use super::outcome::{Outcome, RunOutcome};
use super::plan::{Point, SweepPlan};
use super::together::{self, Opened, withdraw};
use crate::Runs;
use crate::error::{Blame, Result, refuse};
use crate::folder::{Lock, OUTGROWN, RunRecord};
use crate::ranks::ended;
use crate::settings::{Given, MethodKind};
use crate::watch::Watch;
use crate::words::as_text;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Name of the file that makes a folder a sweep.
pub const SWEEP: &str = "sweep.toml";

impl Plan for SweepPlan {
    const FILE: &'static str = SWEEP;
    const NAME: &'static str = "sweep";
    const ENDING: &'static str = "sweep";

    fn task(&self) -> String {
        self.task()
    }

    fn shared(&mut self) -> Vec<&mut toml::Table> {
        vec![&mut self.train]
    }
}

/// A sweep: its plan, and where it goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sweep {
    /// Its folder.
    pub folder: PathBuf,
    /// Its points.
    pub plan: SweepPlan,
    /// No other process works on it but the other ranks.
    _lock: Option<Arc<Lock>>,
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

impl Sweep {
    /// A new sweep: its folder, in which nothing but `sweep.toml` has been written. The first of several ranks makes it.
    ///
    /// # Errors
    /// As [`SweepPlan::new`], or the folder cannot be made; ranks that were asked for other things, or do not see it.
    pub fn new(lists: Lists, given: Given, runs: &Runs) -> Result<Self> {
        let asked = together::asked(&given, &[("the lists of the sweep", format!("{lists:?}"))]);
        let out = given.text("out").map(PathBuf::from);
        let plan = || SweepPlan::new(lists, given, runs.methods());
        Opened::new(runs, &asked, out, plan).map(Self::of)
    }

    /// A sweep that was interrupted; `more` may hold `threads`, and `model`, `tokenizer` and `data` if they have moved.
    ///
    /// # Errors
    /// A folder without a sweep.
    pub fn reopen(folder: &Path, more: &Given, runs: &Runs) -> Result<Self> {
        Opened::again(runs, folder, more).map(Self::of)
    }

    fn of(opened: Opened<SweepPlan>) -> Self {
        Self::in_folder(opened.folder, opened.plan, opened.lock)
    }

    /// The sweep of this plan in a folder that belongs to whoever holds `lock`, begun or not; the first rank makes it.
    ///
    /// # Errors
    /// The folder cannot be made, or holds something else.
    pub(super) fn within(folder: &Path, plan: SweepPlan, lock: Option<&Arc<Lock>>) -> Result<Self> {
        let file = folder.join(SWEEP);
        if lock.is_some() && !zograd_files::exists(&file) {
            let text = toml::to_string(&plan).or_input()?;
            std::fs::create_dir_all(folder).on_file(folder)?;
            zograd_files::write(&file, text).on_file(&file)?;
        }
        Ok(Self::in_folder(folder.to_owned(), plan, lock.cloned()))
    }

    /// Runs of this plan in a folder that belongs to whoever holds `lock`.
    pub(super) fn in_folder(folder: PathBuf, plan: SweepPlan, lock: Option<Arc<Lock>>) -> Self {
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

    /// Runs the points that are not done yet, then compares all; `sweep.json` says the same. Ranks share the runs, each of
    /// which one of them makes by itself; the first writes the report, and all return it.
    ///
    /// # Errors
    /// Wrong input, or something that failed while running.
    pub fn run(&self, runs: &Runs, watch: &mut dyn Watch) -> Result<SweepReport> {
        ended(&runs.ranks(), self.tried(runs, watch))
    }

    /// [`Self::run`] of ranks that have more to do.
    pub(super) fn tried(&self, runs: &Runs, watch: &mut dyn Watch) -> Result<SweepReport> {
        let leads = runs.ranks().leads();
        self.make(runs, watch).inspect_err(|_| {
            if leads {
                withdraw(&self.folder, SWEEP);
            }
        })?;
        let report = self.report()?;
        if leads {
            let path = self.folder.join("sweep.json");
            let text = serde_json::to_string_pretty(&report).while_running()? + "\n";
            zograd_files::write(&path, text).on_file(&path)?;
        }
        Ok(report)
    }

    /// Every point with every seed, in their order.
    fn all(&self) -> Vec<(Point, u64)> {
        let points = self.plan.points().into_iter();
        let each = points.flat_map(|point| {
            let seeds = self.plan.seed.iter();
            seeds.map(move |seed| (point.clone(), *seed))
        });
        each.collect()
    }

    /// Makes the runs that are not over, as far as nobody asks for a stop.
    fn make(&self, runs: &Runs, watch: &mut dyn Watch) -> Result<()> {
        let mut estimate = Estimate::of(&self.plan, runs)?;
        watch.note(&estimate.in_words());
        let all = self.all();
        let folders = all
            .iter()
            .map(|(point, seed)| self.run_folder(point, *seed));
        let folders: Vec<PathBuf> = folders.collect();
        let to_do = dealt::to_do(runs, &folders)?;
        for place in (0..all.len()).filter(|place| !to_do.contains(place)) {
            estimate.was_done(place);
        }
        together::begin(&self.plan.train, runs, watch)?;
        dealt::make(runs, (&folders, &to_do), |place, runs| {
            let (point, seed) = &all[place];
            let is_new = State::of(&folders[place])? == State::New;
            let start = Instant::now();
            watch.note(&estimate.next(place, point, *seed));
            self.work(point, *seed, runs, watch)?;
            if is_new {
                let run = RunRecord::read(&folders[place])?;
                let spent = run.place(estimate.unit());
                estimate.ran(spent, start.elapsed().as_secs_f64());
            }
            Ok(())
        })
    }

    /// What came out of the points whose runs are all over: one that was interrupted is no result.
    fn report(&self) -> Result<SweepReport> {
        let points = self.plan.points();
        let mut outcomes = Vec::new();
        let mut origins = Origins::default();
        for point in &points {
            let mut done = Vec::new();
            for &seed in &self.plan.seed {
                let folder = self.run_folder(point, seed);
                if State::of(&folder)? == State::Over {
                    let run = RunRecord::read(&folder)?;
                    belongs::check(&run, point, seed)?;
                    origins.check(seed, &folder)?;
                    done.push(RunOutcome::of(seed, &run));
                }
            }
            if done.len() == self.plan.seed.len() {
                outcomes.push(Outcome::of(point, done));
            }
        }
        let best_of_each = advise(&outcomes);
        Ok(SweepReport {
            missing: points.len() - outcomes.len(),
            best: best_of_each.iter().min_by(|a, b| a.order(b)).cloned(),
            remarks: compare(&best_of_each, &outcomes).into_iter().collect(),
            best_of_each,
            points: outcomes,
            sweep: self.folder.clone(),
        })
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
        let made = match State::of(run)? {
            State::Over => Ok(()),
            State::Begun if MethodKind::of(&point.method).has_log() => {
                let known = PLACES.iter().chain(&["threads"]);
                let more = known.fold(Given::new(), |more, key| {
                    more.with_some(key, self.plan.train.get(*key).cloned())
                });
                // that of the run may have been edited, or be gone
                let more = more.with_some("task", kept::task_file(&self.plan.train));
                runs.resume(run, more, watch).map(drop)
            }
            State::New | State::Begun => {
                if run.exists() {
                    // refused where another process is at work in it
                    drop(Lock::take(run)?);
                    std::fs::remove_dir_all(run).on_file(run)?;
                }
                let given = self.plan.settings(point, seed, runs.methods());
                runs.train(given.with("out", as_text(run)?), watch)
                    .map(drop)
            }
        };
        let Err(error) = made else {
            return Ok(());
        };
        // the other points are no worse for it
        let Some(why) = error.outgrown() else {
            return Err(error);
        };
        watch.note(&format!("note: {error}; it counts as diverged"));
        let path = run.join(OUTGROWN);
        zograd_files::write(&path, why + "\n").on_file(&path)
    }
}
