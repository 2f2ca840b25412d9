//! What is compared, and by which rules.

use super::report::Target;
use crate::error::{Result, RunError, refuse};
use crate::experiment::curve::Axis;
use crate::experiment::lists::Lists;
use crate::experiment::plan::SweepPlan;
use crate::settings::{Given, MethodKind};
use crate::words::number;
use serde::{Deserialize, Serialize};
use zograd_select::Methods;

/// What is compared where nothing was given.
const METHODS: [&str; 4] = ["mezo", "gv", "greedy", "pool-regression"];
/// Seeds of the runs that are compared.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Seed of the runs that rates are chosen by.
/// The first seed to tune with, if it is not compared.
const TUNE_SEED: u64 = 0;
/// Forward passes of a run.
const FORWARDS: f64 = 1800.0;

/// How it is compared; what is not said has a default.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rules {
    /// The budget of every point of the tuning, in what it is given: a third of that of a run.
    pub tuning: Vec<Amount>,
    /// Batch sizes that the tuning tries, too.
    pub tune_batch_size: Vec<u64>,
    /// Seeds of the tuning, none of which is among those of the runs: 0.
    pub tune_seed: Vec<u64>,
    /// A loss on the development examples to be reached: what more than half of the runs of the first method reach.
    pub target_loss: Option<f64>,
    /// A score on them, from 0 to 1: likewise.
    pub target_score: Option<f64>,
}

/// A budget of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Amount {
    /// What it is counted in.
    pub unit: Axis,
    /// How much.
    pub amount: f64,
}

impl Amount {
    /// So much of it.
    pub fn new(unit: Axis, amount: f64) -> Self {
        Self { unit, amount }
    }

    /// These settings with this budget.
    fn put(self, given: Given) -> Given {
        match self.unit {
            Axis::Seconds => given.with("seconds", self.amount),
            // amounts of 2^53 and more are beyond any run
            unit => given.with(unit.name(), self.amount as i64),
        }
    }

    /// The budget that was given, and the settings without it.
    fn take(mut given: Given) -> Result<(Self, Given)> {
        let mut found = None;
        for unit in Axis::BUDGETS {
            let key = unit.name();
            let value = given.get(key).cloned();
            let Some(value) = value else { continue };
            let amount = value.as_float().or(value.as_integer().map(|n| n as f64));
            if let Some(Self { unit: first, .. }) = found {
                refuse!("`{}`, `{key}`: give one of them", first.name());
            }
            found = amount.map(|amount| Self::new(unit, amount));
            given = given.without(key);
        }
        Ok((found.unwrap_or(Self::new(Axis::Forwards, FORWARDS)), given))
    }

    /// A third of it, for each point of the tuning.
    fn third(self) -> Self {
        let amount = match self.unit {
            Axis::Seconds => self.amount / 3.0,
            _ => (self.amount / 3.0).floor().max(1.0),
        };
        Self { amount, ..self }
    }
}

/// `compare.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ComparisonPlan {
    /// The methods, in the order of the report.
    method: Vec<String>,
    /// What the budget of a run is counted in, and so what curves and targets are told by.
    budget: Axis,
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
            refuse!(
                "`steps`: those of one method cost more than those of another; give `forwards`, `examples`, `tokens` or \
                 `seconds`"
            );
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
        let seeds = or(&lists.seed, &SEEDS);
        let free = (TUNE_SEED..).find(|seed| !seeds.contains(seed));
        let tune_seeds = or(&rules.tune_seed, &[free.unwrap_or(TUNE_SEED)]);
        if let Some(seed) = tune_seeds.iter().find(|seed| seeds.contains(seed)) {
            refuse!(
                "`tune-seed = {seed}`: it is among the seeds that are compared (`seed`), and a rate that was chosen by a run \
                 flatters it; use another"
            );
        }
        // rewards may be any numbers
        let is_share = given.text("objective") != Some("reward");
        let shares = 0.0..=1.0;
        if let Some(score) = rules
            .target_score
            .filter(|s| is_share && !shares.contains(s))
        {
            refuse!("`target-score = {score}`: use a number from 0 to 1, such as 0.9");
        }
        if let (false, Some(size)) = (rules.tune_batch_size.is_empty(), given.get("batch-size")) {
            refuse!(
                "`batch-size = {size}`: it is tuned, and one of `tune-batch-size` is taken; give one of the two"
            );
        }
        let (budget, given) = Amount::take(given)?;
        let is_said = !rules.tuning.is_empty();
        let tuning = match rules.tuning[..] {
            [] => budget.third(),
            [one] => one,
            [first, second, ..] => refuse!(
                "`tune-{}`, `tune-{}`: give one of them",
                first.unit.name(),
                second.unit.name()
            ),
        };
        if let (Some(size), true) = (
            rules.tune_batch_size.first(),
            [budget, tuning].iter().any(|b| b.unit == Axis::Forwards),
        ) {
            refuse!(
                "`tune-batch-size = {size}`: a forward pass of a larger batch costs more; give the budget in `examples`, \
                 `tokens` or `seconds`"
            );
        }
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
            let plan = |seeds: &[u64], budget: Amount| {
                let mut lists = lists.clone();
                lists.seed = seeds.to_vec();
                lists.batch_size = rules.tune_batch_size.clone();
                SweepPlan::new(lists, budget.put(given.clone()), methods)
            };
            let runs = plan(&seeds, budget)?;
            let of_tuning = |error| in_terms_of_tuning(error, tuning, (!is_said).then_some(budget));
            Ok(Kind {
                gradient,
                tuning: plan(&tune_seeds, tuning).map_err(of_tuning)?,
                runs,
            })
        });
        Ok(Self {
            kind: kind.collect::<Result<_>>()?,
            method,
            budget: budget.unit,
            target_loss: rules.target_loss,
            target_score: rules.target_score,
        })
    }

    /// The methods, in the order of the report.
    pub fn methods(&self) -> Vec<String> {
        self.method.clone()
    }

    /// What the budget of a run is counted in.
    pub fn budget(&self) -> Axis {
        self.budget
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

    /// The settings of the plans in it.
    pub(super) fn tables(&mut self) -> Vec<&mut toml::Table> {
        let kinds = self.kind.iter_mut();
        let plans = kinds.flat_map(|kind| [&mut kind.tuning, &mut kind.runs]);
        plans.map(|plan| &mut plan.train).collect()
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

/// What is wrong with the budget of the tuning, by its own name; one that nobody gave is a third of a budget.
fn in_terms_of_tuning(error: RunError, tuning: Amount, third_of: Option<Amount>) -> RunError {
    let text = error.to_string();
    let unit = tuning.unit.name();
    let Some((said, why)) = text
        .split_once(": ")
        .filter(|(said, _)| said.starts_with(&format!("`{unit} = ")))
    else {
        return error;
    };
    RunError::input(match third_of {
        None => format!("`tune-{}: {why}", &said[1..]),
        Some(budget) => format!(
            "`{unit} = {}`: a third of it is what each point of the tuning has (`tune-{unit}`), and {why}",
            number(budget.amount)
        ),
    })
}

fn has_gradient(method: &str) -> bool {
    MethodKind::of(method).has_gradient()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run's file names one seed, which is the first to tune with where none is named.
    #[test]
    fn rates_are_not_chosen_by_a_seed_that_is_compared() {
        let methods = Methods::built_in();
        let tuned_with = |rules: Rules, seed: i64| {
            let given = Given::new().with("seed", seed).with("forwards", 600);
            let plan = ComparisonPlan::new(Lists::default(), rules, given, &methods);
            plan.map(|plan| plan.kind[0].tuning.seed.clone())
        };
        assert_eq!(tuned_with(Rules::default(), 0).expect("a plan"), [1]);
        assert_eq!(tuned_with(Rules::default(), 3).expect("a plan"), [0]);
        let named = Rules {
            tune_seed: vec![0],
            ..Rules::default()
        };
        tuned_with(named, 0).expect_err("it is compared");
    }
}
