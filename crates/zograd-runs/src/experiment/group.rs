//! Runs that differ in nothing but the seed belong together.

use super::Spread;
use crate::folder::RunRecord;
use crate::settings::WITHOUT_EFFECT;
use crate::words::value;
use std::collections::BTreeSet;

/// Whether a group's runs may differ in this setting: the seed, and what does not alter a number.
fn is_free(key: &str) -> bool {
    key == "seed" || WITHOUT_EFFECT.contains(&key)
}

/// Runs with the same settings and any seeds.
#[derive(Debug)]
pub struct Group<'a> {
    /// What sets it apart from the other groups, in words.
    pub label: String,
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
pub fn shared(runs: &[RunRecord]) -> Vec<(String, String)> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let everywhere = |key: &str| runs.iter().all(|run| same(run, first, key));
    first
        .settings
        .iter()
        .filter(|(key, _)| !is_free(key) && everywhere(key))
        .map(|(key, v)| (key.clone(), value(v)))
        .collect()
}

/// All keys of these runs that are compared.
fn keys<'a>(runs: impl IntoIterator<Item = &'a RunRecord>) -> impl Iterator<Item = String> {
    let all: BTreeSet<String> = runs
        .into_iter()
        .flat_map(|run| run.settings.keys().cloned())
        .filter(|key| !is_free(key))
        .collect();
    all.into_iter()
}

fn same(a: &RunRecord, b: &RunRecord, key: &str) -> bool {
    a.settings.get(key) == b.settings.get(key)
}

/// Whether a setting says more than the method does: among the runs that have it, it has several values. Steps
/// and evaluations follow from the method where a budget in forwards was given.
fn tells(key: &str, runs: &[&RunRecord]) -> bool {
    let mut values = runs.iter().filter_map(|run| run.settings.get(key));
    let first = values.next();
    !["method", "steps", "eval-every"].contains(&key) && values.any(|value| Some(value) != first)
}

/// The method first, because it says most; then what else tells groups apart.
fn label(run: &RunRecord, keys: &[&String]) -> String {
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
