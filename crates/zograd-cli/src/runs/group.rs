//! Runs that differ in nothing but the seed belong together.

use super::{Run, Spread, value};
use std::collections::BTreeSet;

/// Settings that a group's runs may differ in: the seed, and what does not alter a number.
const FREE: [&str; 3] = ["seed", "threads", "preset"];

/// Runs with the same settings and any seeds.
#[derive(Debug)]
pub struct Group<'a> {
    /// What sets it apart from the other groups, in words.
    pub label: String,
    /// Its runs, in the order they were given.
    pub runs: Vec<&'a Run>,
    /// The settings in which the groups differ, with this one's values.
    pub distinct: Vec<(String, String)>,
}

impl Group<'_> {
    /// The spread of a number over the runs that have it.
    pub fn spread(&self, number: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|run| number(run)))
    }
}

/// The groups, in the order of their first runs.
pub fn group(runs: &[Run]) -> Vec<Group<'_>> {
    let mut groups: Vec<Vec<&Run>> = Vec::new();
    for run in runs {
        let fits = |group: &&mut Vec<&Run>| {
            group
                .first()
                .is_some_and(|other| keys([run, other]).all(|key| same(run, other, &key)))
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    let firsts: Vec<&Run> = groups.iter().filter_map(|g| g.first().copied()).collect();
    let differing: Vec<String> = keys(firsts.iter().copied())
        .filter(|key| firsts.iter().any(|run| !same(run, firsts[0], key)))
        .collect();
    let telling: Vec<&String> = differing.iter().filter(|key| tells(key, &firsts)).collect();
    groups
        .iter()
        .zip(&firsts)
        .map(|(runs, first)| Group {
            label: label(first, &telling),
            runs: runs.clone(),
            distinct: differing
                .iter()
                .map(|key| (key.clone(), first.setting(key)))
                .collect(),
        })
        .collect()
}

/// The settings that all runs share, the free ones left out.
pub fn shared(runs: &[Run]) -> Vec<(String, String)> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let everywhere = |key: &str| runs.iter().all(|run| same(run, first, key));
    first
        .settings
        .iter()
        .filter(|(key, _)| !FREE.contains(&key.as_str()) && everywhere(key))
        .map(|(key, v)| (key.clone(), value(v)))
        .collect()
}

/// All keys of these runs that are compared.
fn keys<'a>(runs: impl IntoIterator<Item = &'a Run>) -> impl Iterator<Item = String> {
    let all: BTreeSet<String> = runs
        .into_iter()
        .flat_map(|run| run.settings.keys().cloned())
        .filter(|key| !FREE.contains(&key.as_str()))
        .collect();
    all.into_iter()
}

fn same(a: &Run, b: &Run, key: &str) -> bool {
    a.settings.get(key) == b.settings.get(key)
}

/// Whether a setting says more than the method does: among the runs that have it, it has several values. Steps
/// and evaluations follow from the method where a budget in forwards was given.
fn tells(key: &str, runs: &[&Run]) -> bool {
    let mut values = runs.iter().filter_map(|run| run.settings.get(key));
    let first = values.next();
    !["method", "steps", "eval-every"].contains(&key) && values.any(|value| Some(value) != first)
}

/// The method first, because it says most; then what else tells groups apart.
fn label(run: &Run, keys: &[&String]) -> String {
    let mut words = vec![run.setting("method")];
    for key in keys {
        if let Some(setting) = run.settings.get(*key) {
            words.push(format!("{key} {}", value(setting)));
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(settings: &str) -> Run {
        Run {
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
        assert_eq!(shared(&runs), [("batch-size".into(), "4".into())]);
    }

    #[test]
    fn one_group_is_named_by_its_method() {
        let runs = [
            run("method = \"gv\"\nseed = 0"),
            run("method = \"gv\"\nseed = 1"),
        ];
        assert_eq!(group(&runs)[0].label, "gv");
    }
}
