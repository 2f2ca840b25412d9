//! `zograd sweep`, end to end, with the built-in model.

use crate::support::{json, run, run_json, scratch, unpack, zograd};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// A sweep of a second or two.
fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "sweep",
        "--batch-size",
        "4",
        "--train-examples",
        "64",
        "--dev-examples",
        "32",
        "--test-examples",
        "16",
        "--eval-every",
        "10",
    ];
    args.extend(more);
    args
}

#[test]
fn a_sweep_names_the_best_point_and_those_that_diverged() {
    let dir = scratch();
    let args = small(&[
        "--lr",
        "1e-5,1e30,1e-4",
        "--method",
        "mezo,greedy",
        "--out",
        "s",
        "--json",
        "--forwards",
        "80",
    ]);
    let report = run_json(dir.path(), &args);
    let points = report["points"].as_array().expect("points");
    assert_eq!(points.len(), 6);
    assert_eq!(report["missing"], 0);
    for point in points {
        let lr = point["lr"].as_f64().expect("a number");
        assert_eq!(point["diverged"].is_string(), lr > 1.0, "{point}");
        // equal budgets: 40 steps of 2 forwards, 16 of 5; what diverges is not gone on with
        assert_eq!(point["forwards"] == 80, lr < 1.0, "{point}");
        let run = dir
            .path()
            .join(point["runs"][0]["run"].as_str().expect("a folder"));
        for file in [
            "config.toml",
            "metrics.jsonl",
            "summary.json",
            "trajectory.zog",
            "environment.json",
        ] {
            assert!(run.join(file).exists(), "{file}");
        }
    }
    assert!(report["best"]["lr"].as_f64() < Some(1.0), "{report}");
    // each method at its own best rate
    let each = report["best_of_each"].as_array().expect("a list");
    let names: Vec<_> = each.iter().map(|best| best["method"].as_str()).collect();
    assert_eq!(names, [Some("mezo"), Some("greedy")]);
    assert!(
        each.contains(&report["best"]) && each[0]["dev_loss"].is_f64(),
        "{report}"
    );
    assert_eq!(json(&dir.path().join("s/sweep.json")), report);
    let svg = fs::read_to_string(dir.path().join("s/sweep.svg")).expect("a plot");
    for part in [
        "<svg",
        "learning rate",
        "mezo, eps 1e-3",
        "greedy, eps 1e-3",
        "1e-5",
    ] {
        assert!(svg.contains(part), "{part}");
    }

    // nothing is left to do: no point is run again
    let before =
        fs::metadata(dir.path().join("s/mezo-lr1e-5-eps1e-3/metrics.jsonl")).expect("metrics");
    let text = run(dir.path(), &["sweep", "--resume", "s"]).stdout;
    let text = String::from_utf8(text).expect("UTF-8");
    let others = ["best of mezo", "best of greedy"];
    assert_eq!(
        others
            .map(|other| text.contains(other))
            .iter()
            .filter(|told| **told)
            .count(),
        1,
        "{text}"
    );
    assert!(
        text.contains("recommended") && text.contains("diverged: update-too-far in step 1"),
        "{text}"
    );
    let after =
        fs::metadata(dir.path().join("s/mezo-lr1e-5-eps1e-3/metrics.jsonl")).expect("metrics");
    assert_eq!(
        before.modified().expect("a time"),
        after.modified().expect("a time")
    );
}

/// A point whose weights outgrow the grids of exact steps has diverged, and is no end to the others.
#[test]
fn a_point_that_outgrows_its_grids_has_diverged() {
    let dir = scratch();
    let args = small(&[
        "--lr",
        "7e-4,1e-5",
        "--method",
        "mezo",
        "--forwards",
        "600",
        "--guard",
        "loss-explosion=go-on",
        "--seed",
        "1",
        "--out",
        "s",
        "--json",
    ]);
    let report = run_json(dir.path(), &args);
    let why = report["points"][1]["diverged"].as_str();
    assert!(
        why.is_some_and(|why| why.contains("has grown to")),
        "{report}"
    );
    assert_eq!(report["points"][0]["forwards"], 600);
    assert_eq!(report["best"]["lr"], 1e-5);
    let again = run_json(dir.path(), &["sweep", "--resume", "s", "--json"]);
    assert_eq!(again, report);
}

/// The weights of a model that were changed between the points of a sweep.
#[test]
fn a_sweep_goes_on_with_the_weights_it_began_with() {
    let dir = scratch();
    unpack(dir.path());
    let inputs = ["--model", "model", "--task", "sst2", "--data", "data"];
    let more = [
        "--lr",
        "1e-5,1e-4",
        "--method",
        "mezo",
        "--forwards",
        "20",
        "--out",
        "s",
    ];
    run(dir.path(), &small(&[&inputs[..], &more].concat()));
    let mut before = json(&dir.path().join("s/sweep.json"));
    let last = dir.path().join("s/mezo-lr1e-4-eps1e-3");
    fs::remove_dir_all(&last).expect("removed");
    // moved, it is said where to
    for (from, to) in [("model", "moved"), ("data", "rows")] {
        fs::rename(dir.path().join(from), dir.path().join(to)).expect("moved");
    }
    let places = ["--model", "moved", "--data", "rows"];
    let resume = [&["sweep", "--resume", "s"], &places[..]].concat();
    let mut report = run_json(dir.path(), &[&resume[..], &["--json"]].concat());
    for report in [&mut before, &mut report] {
        for point in report["points"].as_array_mut().expect("points") {
            point["seconds"] = 0.into();
            point["runs"][0]["seconds"] = 0.into();
        }
    }
    assert_eq!(report, before);
    fs::remove_dir_all(&last).expect("removed");
    let file = dir.path().join("moved/model.safetensors");
    let mut bytes = fs::read(&file).expect("weights");
    let end = bytes.len() - 2;
    bytes[end] ^= 1;
    fs::write(&file, bytes).expect("written");
    let resumed = zograd(dir.path(), &resume).output().expect("it starts");
    let said = String::from_utf8_lossy(&resumed.stderr);
    assert_eq!(resumed.status.code(), Some(2), "{said}");
    assert!(
        said.contains("the model's weights that they were made of are not the same"),
        "{said}"
    );
}

/// Nothing was found: a script that goes on with what a sweep recommends must know.
#[test]
fn a_sweep_of_which_every_point_diverged_has_failed() {
    let dir = scratch();
    let args = small(&[
        "--lr",
        "1e30",
        "--method",
        "mezo",
        "--forwards",
        "20",
        "--out",
        "s",
    ]);
    let output = zograd(dir.path(), &args).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Every point diverged"), "{text}");
}

/// Without a list the grid is the built-in one, and the settings of a preset bring theirs.
#[test]
fn default_grids() {
    let dir = scratch();
    let report = run_json(
        dir.path(),
        &small(&["--json", "--eps", "1e-3,1e-2", "--forwards", "12"]),
    );
    let of = |key: &str| -> Vec<f64> {
        let points = report["points"].as_array().expect("points");
        points.iter().filter_map(|p| p[key].as_f64()).collect()
    };
    assert_eq!(of("lr"), [1e-5, 3e-5, 1e-4, 3e-4, 1e-5, 3e-5, 1e-4, 3e-4]);
    assert_eq!(of("eps"), [1e-3, 1e-3, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2, 1e-2]);
    assert_eq!(report["sweep"], "runs/toy-sweep");
    crate::support::unpack(dir.path());
    let preset = run_json(
        dir.path(),
        &small(&[
            "--json",
            "--preset",
            "paper/opt-1.3b/wsc/n-spsa",
            "--model",
            "model",
            "--task",
            "sst2",
            "--data",
            "data",
            "--backend",
            "ndarray",
            "--dtype",
            "f32",
            "--forwards",
            "8",
        ]),
    );
    let points = preset["points"].as_array().expect("points");
    let lr: Vec<f64> = points.iter().filter_map(|p| p["lr"].as_f64()).collect();
    assert_eq!(lr, [1e-7, 2e-7, 5e-7]);
    assert!(
        points
            .iter()
            .all(|p| p["method"] == "n-spsa" && p["steps"] == 2)
    );
}

/// Seeds make points of several runs, and a file may have lists, too.
#[test]
fn points_are_averaged_over_seeds_and_lists_may_stand_in_a_file() {
    let dir = scratch();
    let file = "method = ['mezo', 'gv']\nlr = [1e-4, 1e-5]\nseed = [3, 1]\nforwards = 12\n";
    fs::write(dir.path().join("s.toml"), file).expect("a file");
    let args = small(&[
        "--config", "s.toml", "--method", "gv", "--json", "--out", "s",
    ]);
    let output = run(dir.path(), &args);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let points = report["points"].as_array().expect("points");
    assert_eq!((points.len(), &report["missing"]), (2, &0.into()));
    for point in points {
        let runs = point["runs"].as_array().expect("runs");
        let seeds: Vec<_> = runs.iter().map(|run| run["seed"].as_u64()).collect();
        assert_eq!(seeds, [Some(3), Some(1)]);
        let score = |run: &Value| run["dev_score"].as_f64().expect("a score");
        let mean = (score(&runs[0]) + score(&runs[1])) / 2.0;
        assert!((point["dev_score"]["mean"].as_f64().expect("a mean") - mean).abs() < 1e-12);
        assert_eq!(
            (&point["dev_score"]["runs"], &point["forwards"]),
            (&2.into(), &24.into())
        );
    }
    for folder in ["gv-lr1e-5-eps1e-3-seed1", "gv-lr1e-4-eps1e-3-seed3"] {
        let config = fs::read_to_string(dir.path().join("s").join(folder).join("config.toml"));
        let seed = format!("seed = {}\n", &folder[folder.len() - 1..]);
        assert!(config.expect("settings").contains(&seed), "{folder}");
    }
    // what it costs is told before, and how long it takes once a run is done
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    let told: Vec<&str> = told
        .lines()
        .filter(|l| l.starts_with("sweep of") || l.starts_with("point "))
        .collect();
    assert_eq!(
        told[0],
        "sweep of 2 points with 2 seeds each, 4 runs: 48 forward passes of training"
    );
    assert_eq!(
        told[1],
        "point 1 of 2: gv, lr 1e-5, eps 1e-3, seed 3 (run 1 of 4)"
    );
    let last = "point 2 of 2: gv, lr 1e-4, eps 1e-3, seed 1 (run 4 of 4); about ";
    assert!(told[4].starts_with(last), "{told:?}");

    for (file, part) in [("lr = []\n", "`lr = []`"), ("lr = [1e-5, 'a']\n", "--lr a")] {
        fs::write(dir.path().join("wrong.toml"), file).expect("a file");
        let args = ["sweep", "--config", "wrong.toml"];
        let output = zograd(dir.path(), &args)
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains("wrong.toml") && error.contains(part),
            "{error}"
        );
    }
}

/// What is tuned decides on the grid of the paper.
#[test]
fn the_grid_of_adapters() {
    let dir = scratch();
    for (tune, rates, eps) in [
        ("lora", [3e-5, 5e-5, 1e-4], 1e-2),
        ("prefix", [1e-3, 5e-3, 1e-2], 1e-1),
    ] {
        let args = ["--json", "--tune", tune, "--forwards", "6", "--out", tune];
        let report = run_json(dir.path(), &small(&args));
        let points = report["points"].as_array().expect("points");
        let lr: Vec<f64> = points.iter().filter_map(|p| p["lr"].as_f64()).collect();
        assert_eq!(lr, rates);
        assert!(points.iter().all(|p| p["eps"] == eps), "{report}");
    }
}

/// Ctrl-C saves; what is gone on with ends as a sweep that was never interrupted.
#[cfg(unix)]
#[test]
fn an_interrupted_sweep_goes_on() {
    let dir = scratch();
    let args =
        |out: &'static str| small(&["--lr", "1e-5,1e-4,2e-4", "--forwards", "600", "--out", out]);
    let mut child = zograd(dir.path(), &args("s"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = stderr.lines().map(|l| l.expect("text"));
    assert!(
        lines.any(|line| line.starts_with("point 2")),
        "no second point"
    );
    assert!(lines.any(|line| line.starts_with("step")), "no evaluation");
    let pid = child.id().to_string();
    let status = Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .expect("kill");
    assert!(status.success());
    let last: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("an end").code(), Some(130), "{last:?}");
    assert!(
        last.iter().any(|l| l.contains("zograd sweep --resume s")),
        "{last:?}"
    );
    assert_eq!(json(&dir.path().join("s/sweep.json"))["missing"], 2);

    // a point that was killed before it wrote anything
    fs::create_dir_all(dir.path().join("s/gv-lr2e-4-eps1e-3")).expect("a folder");
    run(dir.path(), &["sweep", "--resume", "s"]);
    run(dir.path(), &args("t"));
    let stripped = |folder: &str| {
        let mut report = json(&dir.path().join(folder).join("sweep.json"));
        report["sweep"] = Value::Null;
        for point in report["points"].as_array_mut().expect("points") {
            point["seconds"] = Value::Null;
            for run in point["runs"].as_array_mut().expect("runs") {
                run["seconds"] = Value::Null;
                run["run"] = Value::Null;
            }
        }
        report
    };
    assert_eq!(stripped("s"), stripped("t"));
    let weights = |folder: &str| {
        let point = dir
            .path()
            .join(folder)
            .join("gv-lr1e-4-eps1e-3/best/model.safetensors");
        fs::read(point).expect("weights")
    };
    assert!(weights("s") == weights("t"), "the weights differ");
}

#[test]
fn wrong_input_leaves_nothing_behind() {
    let dir = scratch();
    for (more, parts) in [
        (&["--lr", "1e-5,fast"][..], &["--lr"][..]),
        (&["--lr", "0,1e-5"], &["--lr 0"]),
        (&["--lr", "nan"], &["--lr NaN"]),
        (&["--seed", "1,-1"], &["--seed", "from 0 to"]),
        (&["--eps", "1e-3,2"], &["--eps 2"]),
        (&["--method", "mezo,mezzo"], &["mezzo"]),
        (&["--method", "mezo", "--pool", "4"], &["--pool"]),
        (&["--dev-examples", "0"], &["--dev-examples"]),
        (&["--forwards", "1"], &["--forwards 1"]),
        (&["--task", "sst2"], &["--data"]),
        (&["--model", "nowhere/to/be"], &["nowhere/to/be"]),
        (
            &["--preset", "paper/opt-13b/sst2/g"],
            &["paper/opt-13b/sst2/gv"],
        ),
        (&["--resume", "nowhere"], &["nowhere", "no sweep"]),
    ] {
        let args = [&["sweep"][..], more].concat();
        let output = zograd(dir.path(), &args)
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        for part in parts {
            assert!(error.contains(part), "{args:?}: no {part} in {error}");
        }
        let sweeps = fs::read_dir(dir.path().join("runs"))
            .into_iter()
            .flatten()
            .count();
        assert_eq!(sweeps, 0, "{args:?} left something behind");
    }
}

/// Numbers of other rows, or of another point, are never told as a sweep's.
#[test]
fn runs_of_other_rows_or_points_do_not_stand_side_by_side() {
    let dir = scratch();
    unpack(dir.path());
    let sweep = [
        "sweep", "--model", "model", "--task", "sst2", "--data", "data", "--method", "mezo",
    ];
    let small = [
        "--forwards",
        "8",
        "--batch-size",
        "4",
        "--threads",
        "1",
        "--train-examples",
        "16",
    ];
    let rest = [
        "--dev-examples",
        "8",
        "--test-examples",
        "8",
        "--lr",
        "1e-5,1e-4",
        "--eps",
        "1e-3",
        "--out",
        "s",
    ];
    run(dir.path(), &[&sweep[..], &small, &rest].concat());
    let at = |name: &str| dir.path().join("s").join(name);
    let (low, high, aside) = (
        at("mezo-lr1e-5-eps1e-3"),
        at("mezo-lr1e-4-eps1e-3"),
        at("aside"),
    );
    let swap = || {
        for (from, to) in [(&low, &aside), (&high, &low), (&aside, &high)] {
            fs::rename(from, to).expect("moved");
        }
    };
    swap();
    let resume = ["sweep", "--resume", "s", "--threads", "1"];
    let refused = |why: &str| {
        let output = zograd(dir.path(), &resume).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    };
    refused("it is not the run of mezo, lr 1e-5");
    swap();
    run(dir.path(), &resume);
    fs::remove_dir_all(&high).expect("removed");
    let rows = dir.path().join("data/train.jsonl");
    let text = fs::read_to_string(&rows).expect("rows");
    let turned: Vec<&str> = text.lines().rev().collect();
    fs::write(&rows, turned.join("\n")).expect("written");
    refused("the rows that they were made of are not the same");
}
