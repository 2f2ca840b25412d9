//! What is compared, and by which rules.

use super::report::Target;
use crate::error::{Result, refuse};
use crate::experiment::lists::Lists;
use crate::experiment::plan::SweepPlan;
use crate::settings::{Given, MethodKind};
use serde::{Deserialize, Serialize};
use zograd_select::Methods;

/// What is compared where nothing was given.
const METHODS: [&str; 4] = ["mezo", "gv", "greedy", "pool-regression"];
/// Seeds of the runs that are compared.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Seed of the runs that rates are chosen by.
const TUNE_SEED: u64 = 0;
/// Forward passes of a run.
const FORWARDS: i64 = 1800;

/// How it is compared; what is not said has a default.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rules {
    /// Forward passes of every point of the tuning: a third of those of a run.
    pub tune_forwards: Option<u64>,
    /// Seeds of the tuning, none of which is among those of the runs: 0.
    pub tune_seed: Vec<u64>,
    /// A loss on the development examples to be reached: what more than half of the runs of the first method reach.
    pub target_loss: Option<f64>,
    /// A score on them, from 0 to 1: likewise.
    pub target_score: Option<f64>,
}

/// `compare.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ComparisonPlan {
    /// The methods, in the order of the report.
    method: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_score: Option<f64>,
    /// Methods without a gradient, if there are any, and those with one.
    kind: Vec<Kind>,
}

/// Methods that want rates of one size: those without a gradient, or those with one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Kind {
    /// Whether they have a gradient.
    pub gradient: bool,
    /// The sweep that their rates are chosen by.
    pub tuning: SweepPlan,
    /// The runs that are compared, of which each method makes those at its best point.
    pub runs: SweepPlan,
}

impl Kind {
    /// Name of the folder of its sweep.
    pub fn folder(&self) -> &'static str {
        match self.gradient {
            true => "tune-gradient",
            false => "tune",
        }
    }
}

impl ComparisonPlan {
    /// The plan of these lists and settings.
    ///
    /// # Errors
    /// Settings that no run can have, seeds that are tuned with and compared, a number of steps.
    pub fn new(lists: Lists, rules: Rules, given: Given, methods: &Methods) -> Result<Self> {
        if given.get("steps").is_some() {
            refuse!("`steps`: methods are compared at equal forward passes; give `forwards`");
        }
        let lists = lists.completed(&given)?;
        let given = ["method", "lr", "eps", "seed"]
            .iter()
            .fold(given, |given, key| given.without(key));
        let method = match lists.method.is_empty() {
            true => METHODS.map(String::from).to_vec(),
            false => lists.method.clone(),
        };
        let or = |list: &[u64], default: &[u64]| match list.is_empty() {
            true => default.to_vec(),
            false => list.to_vec(),
        };
        let (seeds, tune_seeds) = (or(&lists.seed, &SEEDS), or(&rules.tune_seed, &[TUNE_SEED]));
        if let Some(seed) = tune_seeds.iter().find(|seed| seeds.contains(seed)) {
            refuse!(
                "`tune-seed = {seed}`: it is among the seeds that are compared (`seed`), and a rate that was chosen by a run \
                 flatters it; use another"
            );
        }
        let forwards = given.get("forwards").and_then(toml::Value::as_integer);
        let forwards = forwards.unwrap_or(FORWARDS);
        let tune_forwards = rules.tune_forwards.map(i64::try_from).transpose();
        let tune_forwards = tune_forwards
            .unwrap_or(Some(i64::MAX))
            .unwrap_or_else(|| (forwards / 3).max(1));
        let kinds: Vec<bool> = [false, true]
            .into_iter()
            .filter(|gradient| method.iter().any(|name| has_gradient(name) == *gradient))
            .collect();
        let kind = kinds.iter().map(|&gradient| {
            let of_kind = method.iter().filter(|name| has_gradient(name) == gradient);
            let mut lists = lists.clone();
            lists.method = of_kind.cloned().collect();
            if gradient {
                lists.eps = Vec::new();
                // rates that were given beside methods of the other kind are meant for those
                if kinds.len() > 1 {
                    lists.lr = Vec::new();
                }
            }
            let plan = |seeds: &[u64], forwards: i64| {
                let mut lists = lists.clone();
                lists.seed = seeds.to_vec();
                SweepPlan::new(lists, given.clone().with("forwards", forwards), methods)
            };
            Ok(Kind {
                gradient,
                tuning: plan(&tune_seeds, tune_forwards)?,
                runs: plan(&seeds, forwards)?,
            })
        });
        Ok(Self {
            kind: kind.collect::<Result<_>>()?,
            method,
            target_loss: rules.target_loss,
            target_score: rules.target_score,
        })
    }

    /// The methods, in the order of the report.
    pub fn methods(&self) -> Vec<String> {
        self.method.clone()
    }

    /// The seeds of the runs that are compared.
    pub fn seeds(&self) -> Vec<u64> {
        self.kind
            .first()
            .map_or(Vec::new(), |kind| kind.runs.seed.clone())
    }

    /// Its kinds of methods.
    pub fn kinds(&self) -> &[Kind] {
        &self.kind
    }

    /// The CPU threads that were asked for.
    pub fn threads(&self) -> Option<usize> {
        self.kind.first().and_then(|kind| kind.runs.threads())
    }

    pub(super) fn set_threads(&mut self, threads: &toml::Value) {
        for plan in self
            .kind
            .iter_mut()
            .flat_map(|k| [&mut k.tuning, &mut k.runs])
        {
            plan.train.insert("threads".into(), threads.clone());
        }
    }

    pub(super) fn target(&self) -> Target {
        Target {
            loss: self.target_loss,
            score: self.target_score,
            of: None,
        }
    }

    /// The plan of the runs of this method.
    pub(super) fn runs_of(&self, method: &str) -> Option<&SweepPlan> {
        let mut plans = self.kind.iter().map(|kind| &kind.runs);
        plans.find(|plan| plan.method.iter().any(|own| own == method))
    }

    /// The task in a word, for the name of a folder.
    pub(super) fn task(&self) -> String {
        self.kind
            .first()
            .map_or_else(String::new, |kind| kind.runs.task())
    }
}

fn has_gradient(method: &str) -> bool {
    MethodKind::of(method).has_gradient()
}
