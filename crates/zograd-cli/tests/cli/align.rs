//! `zograd align`, with the built-in model.

use crate::errors::refused;
use crate::support::{run, run_json, scratch};
use std::fs;

#[test]
fn estimates_are_held_against_the_gradient() {
    let dir = scratch();
    let args = [
        "align",
        "--method",
        "mezo,pool-regression",
        "--pool",
        "16",
        "--train-examples",
        "64",
        "--draws",
        "12",
    ];
    let report = run_json(dir.path(), &[&args[..], &["--json"]].concat());
    assert_eq!(report["rows"], 64);
    assert!(report["gradient_noise"].as_f64() > Some(0.0), "{report}");
    let blocks = report["blocks"].as_array().expect("blocks");
    let share: f64 = blocks
        .iter()
        .map(|b| b["share"].as_f64().expect("a share"))
        .sum();
    assert!((share - 1.0).abs() < 1e-6, "{report}");
    let methods = report["methods"].as_array().expect("methods");
    let number = |at: usize, name: &str| methods[at][name].as_f64().expect("a number");
    assert_eq!((number(0, "forwards"), number(1, "forwards")), (2.0, 16.0));
    assert!(number(1, "cosine") > number(0, "cosine"), "{report}");
    let text = run(dir.path(), &args).stdout;
    let text = String::from_utf8(text).expect("text");
    assert!(
        text.contains("gain a forward") && text.contains("pool-regression"),
        "{text}"
    );
    // nothing is written
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

/// Of a preset, or of the file of a run, what goes with training alone is left out.
#[test]
fn a_recipe_is_held_against_the_gradient_too() {
    let dir = scratch();
    let file =
        "method = \"pool-regression\"\ncalibrate = true\nbalanced = true\nlr = 1e-4\nsteps = 9\n";
    fs::write(dir.path().join("run.toml"), file).expect("written");
    for from in [["--preset", "start/any/recipe"], ["--config", "run.toml"]] {
        let few = ["--draws", "2", "--train-examples", "32", "--json"];
        let report = run_json(dir.path(), &[&["align"], &from[..], &few].concat());
        let methods = report["methods"].as_array().expect("methods");
        let names: Vec<_> = methods.iter().map(|method| &method["method"]).collect();
        assert_eq!(names, ["pool-regression"]);
    }
}

/// Neither a last batch that is not whole nor a small gradient makes a variance negative.
#[test]
fn the_noise_of_a_batch_is_never_negative() {
    let dir = scratch();
    let noise = |more: &[&str]| {
        let args = ["align", "--method", "mezo", "--draws", "2", "--json"];
        let report = run_json(dir.path(), &[&args[..], more].concat());
        report["gradient_noise"].as_f64().expect("a number")
    };
    let whole = noise(&["--train-examples", "32"]);
    let ragged = noise(&["--train-examples", "40"]);
    assert!(whole > 0.0 && ragged > 0.0, "{whole}, {ragged}");
    // where the head is fitted, little of the gradient is left
    let fitted = noise(&["--train-examples", "160", "--head-fit", "160"]);
    assert!(fitted > 1.0, "{fitted}");
}

#[test]
fn what_has_no_estimates_or_no_gradient_is_refused() {
    let dir = scratch();
    refused(dir.path(), &["align", "--method", "adam"], &["adam"]);
    refused(
        dir.path(),
        &["align", "--method", "mezo,tail"],
        &["--method tail", "name zeroth-order methods"],
    );
    for (flag, value) in [("--seed", "1,2"), ("--eps", "1e-3,1e-2")] {
        refused(
            dir.path(),
            &["align", flag, value],
            &[flag, "once for each"],
        );
    }
    for (flag, value) in [("--lr", "1e-3"), ("--forwards", "9"), ("--out", "o")] {
        refused(
            dir.path(),
            &["align", flag, value],
            &[flag, "makes no step"],
        );
    }
    refused(dir.path(), &["align", "--draws", "1"], &["draws"]);
    refused(dir.path(), &["align", "--calibrate"], &["--calibrate"]);
    refused(dir.path(), &["align", "--balanced"], &["--balanced"]);
    let momentum = ["align", "--method", "mezo", "--momentum", "0.9"];
    refused(dir.path(), &momentum, &["--momentum", "one step"]);
    refused(
        dir.path(),
        &["align", "--method", "per-example"],
        &["--method per-example", "whole batches"],
    );
    refused(
        dir.path(),
        &["align", "--objective", "accuracy", "--train-examples", "16"],
        &["--objective accuracy", "no gradient"],
    );
}
