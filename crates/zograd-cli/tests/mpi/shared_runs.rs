//! Sweeps and comparisons whose runs are shared among ranks.

use crate::mpirun::{Mpirun, alone, assert_same, ended, error_of, rank, scratch, until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Points of a second or less.
const SWEEP: &[&str] = &[
    "sweep",
    "--method",
    "gv",
    "--lr",
    "1e-5,3e-5,1e-4",
    "--seed",
    "0,1",
    "--out",
    "s",
    "--steps",
    "40",
    "--eval-every",
    "20",
    "--dev-examples",
    "10",
    "--test-examples",
    "4",
    "--train-examples",
    "32",
    "--batch-size",
    "8",
    "--threads",
    "1",
];

/// Tuning and runs of a second or less.
const COMPARE: &[&str] = &[
    "compare",
    "--method",
    "mezo,gv",
    "--lr",
    "1e-5,1e-4",
    "--seed",
    "1,2",
    "--out",
    "c",
    "--forwards",
    "30",
    "--tune-forwards",
    "12",
    "--dev-examples",
    "10",
    "--test-examples",
    "4",
    "--train-examples",
    "32",
    "--batch-size",
    "4",
    "--threads",
    "1",
];

/// The text of a report without the numbers of its times and its memory.
fn report(file: &Path) -> String {
    let mut value: Value =
        serde_json::from_slice(&fs::read(file).expect("a report")).expect("JSON");
    without_times(&mut value);
    value.to_string()
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !key.contains("seconds") && key != "peak_memory_bytes");
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

/// Everything in a folder of runs is that of another, but for times and memory.
fn assert_same_runs(a: &Path, b: &Path) {
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(a), names(b));
    for name in names(a) {
        let (a, b) = (a.join(&name), b.join(&name));
        if a.join("trajectory.zog").exists() {
            assert_same(&a, &b);
        } else if a.is_dir() {
            assert_same_runs(&a, &b);
        } else if name.ends_with(".json") {
            assert_eq!(report(&a), report(&b), "{name}");
        }
    }
}

/// A scratch folder with these in it.
fn places(names: &[&str]) -> tempfile::TempDir {
    let dir = scratch();
    for name in names {
        fs::create_dir(dir.path().join(name)).expect("made");
    }
    dir
}

#[test]
fn a_sweep_and_a_comparison_are_those_of_one_process() {
    for (args, out, ranks) in [(SWEEP, "s", 3), (COMPARE, "c", 2)] {
        let dir = places(&["alone", "together"]);
        let [one, many] = ["alone", "together"].map(|name| dir.path().join(name));
        let answer = alone(&one, args);
        let output = Mpirun::of(ranks).run(&many, args);
        assert_same_runs(&one.join(out), &many.join(out));
        // one rank speaks, and it tells of its own runs, which are not all
        let error = error_of(&output);
        let told = |text: &str| text.lines().filter(|l| l.contains(", lr ")).count();
        assert!(told(&error) < told(&error_of(&answer)), "{error}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = |text: &str| text.lines().count();
        assert_eq!(
            lines(&text),
            String::from_utf8_lossy(&answer.stdout).lines().count()
        );
    }
}

/// A rank that is killed, the first or another: the rest ends, one line says which it was, and the sweep is gone on with by
/// any number of ranks, and by one process.
#[test]
fn a_sweep_whose_rank_was_killed_goes_on_to_the_same_end() {
    let dir = places(&["alone", "first", "second"]);
    alone(&dir.path().join("alone"), SWEEP);
    for (name, killed, again) in [("first", 0, 3), ("second", 1, 1)] {
        let place = dir.path().join(name);
        let mut child = Mpirun::of(2).start(&place, SWEEP);
        // the runs of both ranks have begun
        for seed in [0, 1] {
            let run = format!("s/gv-lr1e-5-eps1e-3-seed{seed}/metrics.jsonl");
            until(&mut child, &place.join(run), 10);
        }
        let pid = rank(&place, "s", killed);
        let kill = Command::new("kill").args(["-9", &pid]).status();
        assert!(kill.expect("kill").success());
        let error = ended(child);
        let named = format!("mpirun noticed that process rank {killed} ");
        assert!(error.contains(&named), "{error}");
        assert!(!place.join("s/sweep.json").exists());
        let resume = ["sweep", "--resume", "s", "--threads", "1"];
        match again {
            1 => alone(&place, &resume),
            ranks => Mpirun::of(ranks).run(&place, &resume),
        };
        assert_same_runs(&dir.path().join("alone/s"), &place.join("s"));
    }
}

/// Ranks that do not see the folder are told so, and nothing is left.
#[test]
fn ranks_that_do_not_see_the_folder_are_named() {
    let dir = places(&["here", "there"]);
    for args in [SWEEP, COMPARE] {
        let output = Mpirun::in_folders(&["here", "there"]).output(dir.path(), args);
        let error = error_of(&output);
        let lines: Vec<&str> = error.lines().filter(|l| l.starts_with("error: ")).collect();
        let said = "the folder that rank 0 writes into is not to be seen here";
        assert!(
            lines.len() == 1 && lines[0].contains("rank 1: ") && lines[0].contains(said),
            "{error}"
        );
        assert_eq!(output.status.code(), Some(2), "{error}");
        for place in ["here", "there"] {
            let left = fs::read_dir(dir.path().join(place)).expect("a folder");
            assert_eq!(left.count(), 0, "{place}");
        }
    }
}
