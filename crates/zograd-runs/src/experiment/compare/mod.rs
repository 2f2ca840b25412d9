//! Methods side by side: at equal budgets, each at the learning rate that did best for it under an equal budget of tuning.
//!
//! A folder with `compare.toml`, a sweep for the rates in `tune`, which chooses by the development examples, and the runs
//! that are compared in `runs`, with other seeds.

mod interval;
mod plan;
mod report;

pub use interval::Interval;
pub use plan::{Amount, ComparisonPlan, Kind, Rules};
pub use report::{ComparisonReport, MethodReport, Reached, Target};

use super::belongs::{self, Origins};
use super::dealt;
use super::lists::Lists;
use super::opened::Plan;
use super::plan::Point;
use super::sweep::Sweep;
use super::together::{self, Opened, withdraw};
use crate::Runs;
use crate::error::{Blame, Result, refuse};
use crate::folder::{Lock, RunRecord};
use crate::ranks::{agreed, alike, ended};
use crate::settings::Given;
use crate::watch::Watch;
use report::{Done, Tuned};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file that makes a folder a comparison.
pub const COMPARISON: &str = "compare.toml";

impl Plan for ComparisonPlan {
    const FILE: &'static str = COMPARISON;
    const NAME: &'static str = "comparison";
    const ENDING: &'static str = "compare";

    fn task(&self) -> String {
        self.task()
    }

    fn shared(&mut self) -> Vec<&mut toml::Table> {
        self.tables()
    }
}

/// A comparison: its plan, and where it goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// Its folder.
    pub folder: PathBuf,
    /// What is compared.
    pub plan: ComparisonPlan,
    lock: Option<Arc<Lock>>,
}

impl Comparison {
    /// A new comparison: its folder, in which nothing but `compare.toml` has been written. The first of several ranks makes
    /// it.
    ///
    /// # Errors
    /// As [`ComparisonPlan::new`], or the folder cannot be made; ranks that were asked for other things, or do not see it.
    pub fn new(lists: Lists, rules: Rules, given: Given, runs: &Runs) -> Result<Self> {
        let more = [
            ("the lists of the comparison", format!("{lists:?}")),
            ("the rules of the comparison", format!("{rules:?}")),
        ];
        let asked = together::asked(&given, &more);
        let out = given.text("out").map(PathBuf::from);
        let plan = || ComparisonPlan::new(lists, rules, given.without("out"), runs.methods());
        Opened::new(runs, &asked, out, plan).map(Self::of)
    }

    /// A comparison that was interrupted; `more` may hold `threads`, and `model`, `tokenizer` and `data` if they have moved.
    ///
    /// # Errors
    /// A folder without a comparison.
    pub fn reopen(folder: &Path, more: &Given, runs: &Runs) -> Result<Self> {
        Opened::again(runs, folder, more).map(Self::of)
    }

    fn of(opened: Opened<ComparisonPlan>) -> Self {
        Self {
            folder: opened.folder,
            plan: opened.plan,
            lock: opened.lock,
        }
    }

    /// Tunes and runs what is not done yet, then compares all; `compare.json` says the same. Ranks share the runs, each of
    /// which one of them makes by itself; the first chooses the rates and writes the report, and all return it.
    ///
    /// # Errors
    /// Wrong input, or something that failed while running.
    pub fn run(&self, runs: &Runs, watch: &mut dyn Watch) -> Result<ComparisonReport> {
        ended(&runs.ranks(), self.tried(runs, watch))
    }

    fn tried(&self, runs: &Runs, watch: &mut dyn Watch) -> Result<ComparisonReport> {
        let leads = runs.ranks().leads();
        let tuned = self.tune(runs, watch).inspect_err(|_| {
            if leads {
                withdraw(&self.folder, COMPARISON);
            }
        })?;
        let missing = match &tuned {
            Some(points) => self.work(points, runs, watch)?,
            None => self.plan.methods().len() * self.plan.seeds().len(),
        };
        let done = self.done(tuned.unwrap_or_default())?;
        let target = self.plan.target().completed(done.first());
        let budget = self.plan.budget();
        let report = ComparisonReport {
            metric: done
                .iter()
                .flat_map(|d| &d.runs)
                .find_map(RunRecord::metric),
            methods: done
                .iter()
                .map(|d| MethodReport::of(d, &target, budget))
                .collect(),
            budget,
            target,
            missing,
            comparison: self.folder.clone(),
        };
        if leads {
            let path = self.folder.join("compare.json");
            let text = serde_json::to_string_pretty(&report).while_running()? + "\n";
            zograd_files::write(&path, text).on_file(&path)?;
        }
        Ok(report)
    }

    /// Each method in their order; `None` if it was interrupted.
    fn tune(&self, runs: &Runs, watch: &mut dyn Watch) -> Result<Option<Vec<Tuned>>> {
        let ranks = runs.ranks();
        let mut found = Vec::new();
        for kind in self.plan.kinds() {
            let folder = self.folder.join(kind.folder());
            let sweep = Sweep::within(&folder, kind.tuning.clone(), self.lock.as_ref());
            let report = agreed(&ranks, sweep)?.tried(runs, watch)?;
            if report.missing > 0 {
                return Ok(None);
            }
            found.extend(report.best_of_each);
        }
        let points = self.plan.methods().into_iter().map(|method| {
            let best = found.iter().find(|advice| advice.method == method);
            let point = best.map(|best| Point {
                method: method.clone(),
                lr: best.lr,
                eps: best.eps,
                batch_size: best.batch_size,
            });
            Tuned {
                method,
                point,
                remarks: best.map_or_else(Vec::new, |best| best.remarks.clone()),
            }
        });
        let tuned: Vec<Tuned> = points.collect();
        // what was chosen is gone on with by all of them, or by none
        let chosen = format!("{tuned:?}");
        alike(&ranks, &[("what was chosen by the tuning".into(), chosen)])?;
        Ok(Some(tuned))
    }

    /// Makes the runs that are compared, seed by seed, so that what is done at any time is fair. Says how many are left.
    fn work(&self, tuned: &[Tuned], runs: &Runs, watch: &mut dyn Watch) -> Result<usize> {
        let all = self.todo(tuned);
        let mut folders = Vec::with_capacity(all.len());
        for (point, seed) in &all {
            folders.push(self.runs_of(&point.method)?.run_folder(point, *seed));
        }
        let to_do = dealt::to_do(runs, &folders)?;
        dealt::make(runs, (&folders, &to_do), |place, runs| {
            let (point, seed) = &all[place];
            let of = all.len();
            watch.note(&format!("run {} of {of}: {point}, seed {seed}", place + 1));
            self.runs_of(&point.method)?.work(point, *seed, runs, watch)
        })?;
        Ok(dealt::to_do(runs, &folders)?.len())
    }

    /// The runs in their order.
    fn todo(&self, tuned: &[Tuned]) -> Vec<(Point, u64)> {
        let seeds = self.plan.seeds().into_iter();
        let runs = seeds.flat_map(|seed| {
            let points = tuned.iter().filter_map(|tuned| tuned.point.clone());
            points.map(move |point| (point, seed))
        });
        runs.collect()
    }

    /// The folder of the runs, as a sweep with the settings of this method.
    fn runs_of(&self, method: &str) -> Result<Sweep> {
        let folder = self.folder.join("runs");
        std::fs::create_dir_all(&folder).on_file(&folder)?;
        let Some(plan) = self.plan.runs_of(method) else {
            refuse!("{COMPARISON}: nothing is said of the runs of {method}");
        };
        Ok(Sweep::in_folder(folder, plan.clone(), self.lock.clone()))
    }

    /// What is done.
    fn done(&self, tuned: Vec<Tuned>) -> Result<Vec<Done>> {
        let mut origins = Origins::default();
        let each = tuned.into_iter().map(|tuned| {
            let mut runs = Vec::new();
            if let Some(point) = &tuned.point {
                let sweep = self.runs_of(&tuned.method)?;
                for seed in self.plan.seeds() {
                    let folder = sweep.run_folder(point, seed);
                    if let Some(run) = RunRecord::read(&folder).ok().filter(RunRecord::over) {
                        belongs::check(&run, point, seed)?;
                        origins.check(seed, &folder)?;
                        runs.push(run);
                    }
                }
            }
            Ok(Done { tuned, runs })
        });
        each.collect()
    }
}
