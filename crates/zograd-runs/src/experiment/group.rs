//! Runs that differ in nothing but the seed belong together.

use super::Spread;
use crate::folder::RunRecord;
use crate::inputs::task_word;
use crate::settings::{BUILT_IN_MODEL, BUILT_IN_TASK, WITHOUT_EFFECT};
use crate::words::value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

const MODEL: &str = "model";
const TASK: &str = "task";

/// Whether a group's runs may differ in this setting: the seed, and what does not alter a number.
fn is_free(key: &str) -> bool {
    key == "seed" || WITHOUT_EFFECT.contains(&key)
}

/// Runs with the same settings and any seeds.
#[derive(Debug)]
pub struct Group<'a> {
    /// Its model in a word.
    pub model: String,
    /// Its task in a word.
    pub task: String,
    /// What sets it apart from the other groups with this model and task, in words.
    pub label: String,
    /// What sets it apart from all others: the label, after model and task where these differ.
    pub name: String,
    /// Its runs, in the order they were given.
    pub runs: Vec<&'a RunRecord>,
    /// The settings in which the groups differ, with this one's values.
    pub distinct: Vec<(String, String)>,
}

impl Group<'_> {
    /// The spread of a number over the runs that have it.
    pub fn spread(&self, number: impl Fn(&RunRecord) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|run| number(run)))
    }
}

/// The groups, in the order of their first runs.
pub fn group(runs: &[RunRecord]) -> Vec<Group<'_>> {
    let mut groups: Vec<Vec<&RunRecord>> = Vec::new();
    for run in runs {
        let fits = |group: &&mut Vec<&RunRecord>| {
            group
                .first()
                .is_some_and(|other| keys([run, other]).all(|key| same(run, other, &key)))
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    let firsts: Vec<&RunRecord> = groups.iter().filter_map(|g| g.first().copied()).collect();
    let differing: Vec<String> = keys(firsts.iter().copied())
        .filter(|key| firsts.iter().any(|run| !same(run, firsts[0], key)))
        .collect();
    let telling: Vec<&String> = differing.iter().filter(|key| tells(key, &firsts)).collect();
    let words = Words::of(&firsts);
    groups
        .iter()
        .zip(&firsts)
        .map(|(runs, first)| {
            let label = label(first, &telling, &words) + &measured(runs);
            Group {
                model: words.value(first, MODEL),
                task: words.value(first, TASK),
                name: words.place(first, &differing) + &label,
                label,
                runs: runs.clone(),
                distinct: differing
                    .iter()
                    .map(|key| (key.clone(), setting(first, key)))
                    .collect(),
            }
        })
        .collect()
}

/// The settings that all runs share, the free ones left out.
pub fn shared(runs: &[RunRecord]) -> Vec<(String, String)> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let everywhere = |key: &str| runs.iter().all(|run| same(run, first, key));
    keys([first])
        .filter(|key| everywhere(key))
        .map(|key| (key.clone(), setting(first, &key)))
        .collect()
}

/// All keys of these runs that are compared. Every run has a model and a task, if it does not name them.
fn keys<'a>(runs: impl IntoIterator<Item = &'a RunRecord>) -> impl Iterator<Item = String> {
    let given = runs
        .into_iter()
        .flat_map(|run| run.settings.keys().cloned());
    let always = [MODEL, TASK].map(String::from);
    let all: BTreeSet<String> = given.chain(always).filter(|key| !is_free(key)).collect();
    all.into_iter()
}

/// The value of a setting in full.
fn setting(run: &RunRecord, key: &str) -> String {
    match run.settings.get(key) {
        Some(given) => value(given),
        None if key == TASK => task(run),
        None if key == MODEL => BUILT_IN_MODEL.into(),
        None => "-".into(),
    }
}

/// The task of a run that names none: what its rows were taken for, or their name where it has not come that far.
fn task(run: &RunRecord) -> String {
    let data = run.settings.get("data").and_then(toml::Value::as_str);
    match (data, &run.summary) {
        (None, _) => BUILT_IN_TASK.into(),
        (Some(_), Some(summary)) => summary.task.clone(),
        (Some(data), None) => task_word(None, Some(data)),
    }
}

/// What goes with every method or with nearly all, so that leaving it out is a choice.
const CHOICES: [&str; 7] = [
    "balanced",
    "calibrate",
    "guard",
    "head-fit",
    "informed",
    "momentum",
    "step-scale",
];

/// What a run says of a setting; a choice that is written down as not made is none.
fn said<'a>(run: &'a RunRecord, key: &str) -> Option<&'a toml::Value> {
    let is_not_made = |value: &toml::Value| {
        let is_zero = value.as_integer() == Some(0) || value.as_float() == Some(0.0);
        CHOICES.contains(&key) && (value.as_bool() == Some(false) || is_zero)
    };
    let given = run.settings.get(key);
    given.filter(|value| !is_not_made(value))
}

fn same(a: &RunRecord, b: &RunRecord, key: &str) -> bool {
    match (said(a, key), said(b, key)) {
        // guards mean the same in any order
        (Some(toml::Value::String(a)), Some(toml::Value::String(b))) if key == "guard" => {
            words_of(a) == words_of(b)
        }
        (a, b) => a == b,
    }
}

fn words_of(list: &str) -> BTreeSet<&str> {
    list.split(',').map(str::trim).collect()
}

/// Whether a setting says more than model, task and method do: among the runs of one model and task it has several
/// values. Steps and evaluations follow from the method where a budget in forwards was given.
fn tells(key: &str, runs: &[&RunRecord]) -> bool {
    if ["method", MODEL, TASK].contains(&key) {
        return false;
    }
    let follows = ["steps", "eval-every"].contains(&key);
    let differ = |a: &RunRecord, b: &RunRecord| {
        let of_one_method = same(a, b, "method");
        let counts = match (said(a, key), said(b, key)) {
            (Some(_), Some(_)) => of_one_method || !follows,
            // what only the other method can have says nothing
            _ => of_one_method || CHOICES.contains(&key),
        };
        counts && same(a, b, MODEL) && same(a, b, TASK) && !same(a, b, key)
    };
    let others = |from: usize| runs[from..].iter();
    (0..runs.len()).any(|at| others(at).any(|other| differ(runs[at], other)))
}

/// The method first, because it says most; then what else tells groups apart.
fn label(run: &RunRecord, keys: &[&String], words: &Words) -> String {
    let mut label = vec![run.setting("method")];
    for key in keys {
        match said(run, key) {
            Some(toml::Value::Boolean(true)) => label.push((*key).clone()),
            Some(_) => label.push(format!("{key} {}", words.value(run, key))),
            None => {}
        }
    }
    label.join(", ")
}

/// The learning rates of runs that measured them, in words: each seed has its own.
fn measured(runs: &[&RunRecord]) -> String {
    let summaries = runs.iter().filter_map(|run| run.summary.as_ref());
    let rates = summaries.filter_map(|summary| Some(summary.measured_rate.as_ref()?.lr));
    let mut rates: Vec<f64> = rates.collect();
    rates.sort_by(f64::total_cmp);
    match rates[..] {
        [] => String::new(),
        [one] => format!(", lr measured: {one:.1e}"),
        [low, .., high] => format!(", lr measured: {low:.1e} to {high:.1e}"),
    }
}

/// Values in words, as short as they can be told apart: of a path the last name.
struct Words {
    /// Values whose last name several have.
    long: BTreeSet<String>,
}

impl Words {
    fn of(runs: &[&RunRecord]) -> Self {
        let mut whole: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for run in runs {
            for key in keys([*run]) {
                let value = setting(run, &key);
                whole.entry((key, short(&value))).or_default().insert(value);
            }
        }
        let alike = whole.into_values().filter(|values| values.len() > 1);
        Self {
            long: alike.flatten().collect(),
        }
    }

    fn value(&self, run: &RunRecord, key: &str) -> String {
        let value = setting(run, key);
        match self.long.contains(&value) {
            true => value,
            false => short(&value),
        }
    }

    /// Task and model, if they are among what differs.
    fn place(&self, run: &RunRecord, differing: &[String]) -> String {
        let told = [TASK, MODEL].into_iter();
        let told = told.filter(|key| differing.iter().any(|other| other == key));
        let words: Vec<String> = told.map(|key| self.value(run, key)).collect();
        match words.is_empty() {
            true => String::new(),
            false => words.join(" on ") + ": ",
        }
    }
}

/// The last name of a path from the root, without the ending of a task's file; other values as they are.
fn short(value: &str) -> String {
    let path = Path::new(value);
    let name = match path.extension() == Some(OsStr::new("toml")) {
        true => path.file_stem(),
        false => path.file_name(),
    };
    match name {
        Some(name) if path.is_absolute() => name.display().to_string(),
        _ => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(settings: &str) -> RunRecord {
        RunRecord {
            folder: "run".into(),
            settings: settings.parse().expect("TOML"),
            steps: Vec::new(),
            evals: Vec::new(),
            summary: None,
            environments: Vec::new(),
        }
    }

    #[test]
    fn seeds_are_put_together_and_settings_kept_apart() {
        let runs = [
            run("method = \"gv\"\npool = 4\nlr = 1e-5\nseed = 0\nbatch-size = 4"),
            run("method = \"mezo\"\nlr = 1e-5\nseed = 0\nbatch-size = 4"),
            run("method = \"gv\"\npool = 4\nlr = 1e-5\nseed = 1\nthreads = 2\nbatch-size = 4"),
            run("method = \"gv\"\npool = 4\nlr = 0.02\nseed = 1\nbatch-size = 4"),
        ];
        let groups = group(&runs);
        let sizes: Vec<usize> = groups.iter().map(|g| g.runs.len()).collect();
        assert_eq!(sizes, [2, 1, 1]);
        assert_eq!(groups[0].label, "gv, lr 1e-5");
        assert_eq!(groups[1].label, "mezo, lr 1e-5");
        assert_eq!(groups[2].label, "gv, lr 0.02");
        let shared = shared(&runs);
        let shared: Vec<_> = shared
            .iter()
            .map(|(key, v)| (key.as_str(), v.as_str()))
            .collect();
        let all = [("batch-size", "4"), ("model", "embedded"), ("task", "toy")];
        assert_eq!(shared, all);
    }

    #[test]
    fn one_group_is_named_by_its_method() {
        let runs = [
            run("method = \"gv\"\nseed = 0"),
            run("method = \"gv\"\nseed = 1"),
        ];
        assert_eq!(group(&runs)[0].label, "gv");
    }

    #[test]
    fn what_goes_with_every_method_is_told_beside_another_one() {
        let runs = [
            run("method = 'mezo'\nlr = 1e-5"),
            run(
                "method = 'pool-regression'\npool = 8\nlr = 1e-5\ncalibrate = true\nbalanced = true\nhead-fit = 500",
            ),
        ];
        let groups = group(&runs);
        let labels: Vec<&str> = groups.iter().map(|group| group.label.as_str()).collect();
        let recipe = "pool-regression, balanced, calibrate, head-fit 500";
        assert_eq!(labels, ["mezo", recipe]);

        let runs = [
            run("method = 'mezo'\nmomentum = 0.9\nmomentum-steps = 44\nguard = 'rising-loss'"),
            run("method = 'gv'\ninformed = 'tail'\nstep-scale = 'rms'"),
            run("method = 'gv'\ninformed = 'tail'\nstep-scale = 'rms'\nhead-fit = 0"),
        ];
        let groups = group(&runs);
        let labels: Vec<&str> = groups.iter().map(|group| group.label.as_str()).collect();
        let told = [
            "mezo, guard rising-loss, momentum 0.9",
            "gv, informed tail, step-scale rms",
        ];
        assert_eq!(labels, told, "a head fit of no rows is none");

        let runs = [
            run("method = 'mezo'\nguard = 'loss-explosion=shrink,exploding-gradient=shrink'"),
            run("method = 'mezo'\nguard = 'exploding-gradient=shrink, loss-explosion=shrink'"),
            run("method = 'mezo'\nguard = 'loss-explosion=shrink'\nmomentum = 0.0"),
            run("method = 'mezo'\nguard = 'loss-explosion=shrink'\nmomentum = 0"),
        ];
        let groups = group(&runs);
        let sizes: Vec<usize> = groups.iter().map(|group| group.runs.len()).collect();
        assert_eq!(
            sizes,
            [2, 2],
            "guards have no order, and a momentum of 0 is none"
        );
    }

    #[test]
    fn model_and_task_are_told_whatever_the_runs() {
        let own = "method = 'gv'\nlr = 3e-4\nmax-length = 512\nmodel = '/m/opt-tiny'\ntask = '/t/tickets.toml'";
        let runs = [
            run("method = 'gv'\nlr = 2e-5\nmax-length = 128"),
            run(own),
            run(&own.replace("3e-4", "1e-4")),
            run(&own.replace("'gv'", "'mezo'")),
        ];
        let groups = group(&runs);
        let told: Vec<_> = groups
            .iter()
            .map(|g| (&*g.model, &*g.task, &*g.label))
            .collect();
        let (model, task) = ("opt-tiny", "tickets");
        assert_eq!(
            told,
            [
                ("embedded", "toy", "gv, lr 2e-5"),
                (model, task, "gv, lr 3e-4"),
                (model, task, "gv, lr 1e-4"),
                (model, task, "mezo, lr 3e-4"),
            ]
        );
        assert_eq!(groups[0].name, "toy on embedded: gv, lr 2e-5");
        assert_eq!(groups[3].name, "tickets on opt-tiny: mezo, lr 3e-4");
        // what follows from model and task stands in the table of differences
        assert!(
            groups[0]
                .distinct
                .contains(&("max-length".into(), "128".into()))
        );
    }

    #[test]
    fn rows_without_a_task_are_not_the_built_in_ones() {
        let runs = [
            run("method = 'gv'\nmodel = '/m/chatty'\ndata = '/d/chats.jsonl'"),
            run("method = 'gv'\nmodel = '/m/chatty'"),
        ];
        let tasks: Vec<_> = group(&runs).into_iter().map(|group| group.task).collect();
        assert_eq!(tasks, ["chats", "toy"]);
    }

    #[test]
    fn labels_are_short_and_different() {
        let runs = [
            run("method = 'gv'\nsteps = 10\ntask = 'sst2'\nmodel = '/a/opt'\ndata = '/d/one'"),
            run("method = 'gv'\nsteps = 20\ntask = 'sst2'\nmodel = '/a/opt'\ndata = '/d/one'"),
            run("method = 'gv'\nsteps = 20\ntask = 'sst2'\nmodel = '/a/opt'\ndata = '/e/one'"),
            run("method = 'gv'\nsteps = 20\ntask = 'sst2'\nmodel = '/b/opt'\ndata = '/d/one'"),
            run(
                "method = 'mezo'\nsteps = 30\ntask = 'sst2'\nmodel = '/b/opt'\ndata = '/d/one'\nswitch = true",
            ),
        ];
        let groups = group(&runs);
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "/a/opt: gv, data /d/one, steps 10",
                "/a/opt: gv, data /d/one, steps 20",
                "/a/opt: gv, data /e/one, steps 20",
                "/b/opt: gv, data /d/one, steps 20",
                "/b/opt: mezo, data /d/one, steps 30",
            ]
        );
    }
}
