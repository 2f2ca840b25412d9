//! `zograd compare`, end to end, with the built-in model.

use crate::errors::refused;
use crate::support::{json, metrics, run, run_json, scratch, zograd};
use serde_json::Value;
use std::fs;

/// A comparison of a few seconds.
fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "compare",
        "--batch-size",
        "4",
        "--train-examples",
        "64",
        "--dev-examples",
        "32",
        "--test-examples",
        "16",
        "--eval-every",
        "5",
        "--forwards",
        "60",
        // whole steps of mezo, greedy and adam
        "--tune-forwards",
        "30",
    ];
    args.extend(more);
    args
}

#[test]
fn a_comparison_of_which_no_method_has_a_rate_has_failed() {
    let dir = scratch();
    let args = small(&[
        "--method",
        "mezo,greedy",
        "--lr",
        "1e30",
        "--seed",
        "1",
        "--out",
        "c",
    ]);
    let output = zograd(dir.path(), &args).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("mezo: every rate diverged"), "{text}");
}

/// Zeroth-order methods and one with a gradient: each is tuned, then run with each seed at its own best rate, at one
/// budget.
#[test]
fn each_method_runs_at_its_own_best_rate_with_seeds_it_was_not_tuned_with() {
    let dir = scratch();
    let args = small(&[
        "--method",
        "mezo,greedy,adam",
        "--lr",
        "1e-5,1e-3",
        "--seed",
        "1,2",
        "--json",
        "--out",
        "c",
    ]);
    let report = run_json(dir.path(), &args);
    assert_eq!(report["missing"], 0);
    let methods = report["methods"].as_array().expect("methods");
    let names: Vec<&str> = methods
        .iter()
        .filter_map(|m| m["method"].as_str())
        .collect();
    assert_eq!(names, ["mezo", "greedy", "adam"]);
    for (method, tune) in methods.iter().zip(["tune", "tune", "tune-gradient"]) {
        let sweep = json(&dir.path().join("c").join(tune).join("sweep.json"));
        let best = sweep["best_of_each"].as_array().expect("points");
        let best = best.iter().find(|b| b["method"] == method["method"]);
        let best = best.expect("its best");
        assert_eq!(best["lr"], method["lr"]);
        assert_eq!(best["remarks"], method["remarks"]);
        let points = sweep["points"].as_array().expect("points");
        for point in points.iter().filter(|p| p["diverged"].is_null()) {
            assert_eq!(
                (&point["forwards"], &point["runs"][0]["seed"]),
                (&30.into(), &0.into())
            );
        }
        let runs = method["runs"].as_array().expect("runs");
        let seeds = runs.iter().map(|run| {
            let folder = dir.path().join(run.as_str().expect("a folder"));
            let config = fs::read_to_string(folder.join("config.toml")).expect("settings");
            let config: toml::Table = config.parse().expect("TOML");
            assert_eq!(config["lr"].as_float(), method["lr"].as_f64());
            config["seed"].as_integer()
        });
        assert_eq!(seeds.collect::<Vec<_>>(), [Some(1), Some(2)]);
        assert_eq!(method["forwards"]["median"], 60.0);
        assert_eq!(method["test_after"]["runs"], 2);
    }
    // adam was tuned before the first of mezo's runs, in the same process; null where the system has one mark for all
    let [mezo, _, adam] = [0, 1, 2].map(|n| methods[n]["peak_memory_bytes"]["median"].as_f64());
    if let (Some(mezo), Some(adam)) = (mezo, adam) {
        assert!(mezo < 0.95 * adam, "{mezo} {adam}");
    }
    // what the first method reaches at best, most of its runs reach: of two, both
    assert_eq!(report["target"]["of"], "mezo");
    assert!(methods[0]["to_score"]["runs"] == 2, "{report}");
    let csv = fs::read_to_string(dir.path().join("c/compare.csv")).expect("a table");
    assert!(
        csv.lines()
            .any(|line| line.starts_with("adam,") && line.contains("test_after"))
    );
    let page = fs::read_to_string(dir.path().join("c/compare.html")).expect("a page");
    assert!(page.contains("greedy") && page.contains("<svg"));
    // of two rates the best is at an end of the grid, or nothing tells them apart
    for name in names {
        assert!(page.contains(&format!("tuning of {name}: ")), "{report}");
    }
    // a comparison's runs are those that it compares
    let rows = run_json(dir.path(), &["report", "c", "--json"]);
    assert_eq!(rows.as_array().map(Vec::len), Some(3), "{rows}");

    // resumed, it finds all done, and says the same
    let again = run_json(dir.path(), &["compare", "--resume", "c", "--json"]);
    assert_eq!(again, report);
    // a run that is gone is made again, to the same numbers
    let gone = methods[0]["runs"][1].as_str().expect("a folder");
    fs::remove_dir_all(dir.path().join(gone)).expect("removed");
    let again = run_json(dir.path(), &["compare", "--resume", "c", "--json"]);
    for quantity in ["test_after", "dev_loss", "mean_dev_loss", "to_loss"] {
        let without_time = |report: &Value| {
            let mut value = report["methods"][0][quantity].clone();
            value.as_object_mut().expect("numbers").remove("seconds");
            value
        };
        assert_eq!(without_time(&again), without_time(&report), "{quantity}");
    }
    let text = run(dir.path(), &["compare", "--resume", "c"]).stdout;
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(
        text.contains("to be reached: development loss") && text.contains("runs of mezo reach"),
        "{text}"
    );
    assert!(text.contains("tuning of mezo: "), "{text}");
    // a run in the place of another one's
    let folders = [0, 1].map(|n| {
        dir.path()
            .join(methods[0]["runs"][n].as_str().expect("a folder"))
    });
    let aside = dir.path().join("c/runs/aside");
    for (from, to) in [
        (&folders[0], &aside),
        (&folders[1], &folders[0]),
        (&aside, &folders[1]),
    ] {
        fs::rename(from, to).expect("moved");
    }
    let output = zograd(dir.path(), &["compare", "--resume", "c"]).output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("it is not the run of mezo"), "{said}");
}

/// The budget of a comparison in tokens: every run ends with the step that reaches it, batch sizes are tuned with the rates,
/// and curves and targets go by tokens.
#[test]
fn methods_are_compared_at_equal_tokens_with_their_own_batch_sizes() {
    let dir = scratch();
    let args = [
        "compare",
        "--train-examples",
        "64",
        "--dev-examples",
        "32",
        "--test-examples",
        "16",
        "--tokens",
        "6000",
        "--tune-batch-size",
        "2,8",
        "--method",
        "mezo,greedy",
        "--lr",
        "1e-4",
        "--seed",
        "1",
        "--json",
        "--out",
        "c",
    ];
    let report = run_json(dir.path(), &args);
    assert_eq!(
        (&report["missing"], &report["budget"]),
        (&0.into(), &"tokens".into())
    );
    let sweep = json(&dir.path().join("c/tune/sweep.json"));
    let sizes = sweep["points"].as_array().expect("points").iter();
    let sizes: Vec<_> = sizes
        .map(|p| (p["method"].as_str(), p["batch_size"].as_u64()))
        .collect();
    let grid = ["mezo", "greedy"].map(|m| [2, 8].map(|size| (Some(m), Some(size))));
    assert_eq!(sizes, grid.concat());
    for method in report["methods"].as_array().expect("methods") {
        let best = sweep["best_of_each"].as_array().expect("points").iter();
        let best = best.into_iter().find(|b| b["method"] == method["method"]);
        assert_eq!(best.expect("its best")["batch_size"], method["batch_size"]);
        let folder = dir
            .path()
            .join(method["runs"][0].as_str().expect("a folder"));
        let summary = json(&folder.join("summary.json"));
        assert_eq!(summary["stop"], "budget");
        assert_eq!(summary["settings"]["batch-size"], method["batch_size"]);
        let lines = metrics(&folder);
        let tokens: Vec<u64> = lines.iter().filter_map(|l| l["tokens"].as_u64()).collect();
        let (last, before) = (tokens[tokens.len() - 1], tokens[tokens.len() - 2]);
        assert!(before < 6000 && 6000 <= last, "{before}, {last}");
        assert_eq!(method["tokens"]["median"], last as f64);
        let batch = method["batch_size"].as_f64().expect("a size");
        let forwards = method["forwards"]["median"].as_f64().expect("a number");
        assert_eq!(method["examples"]["median"], forwards * batch);
        // the mean of the loss along the tokens, and not along the steps
        let evals: Vec<(f64, f64)> = lines
            .iter()
            .filter_map(|line| {
                let loss = line["dev_loss"].as_f64()?;
                let at = line["step"].as_u64()?;
                let step = lines
                    .iter()
                    .find(|l| l["tokens"].is_u64() && l["step"] == at);
                Some((
                    step.map_or(0.0, |l| l["tokens"].as_f64().unwrap_or(0.0)),
                    loss,
                ))
            })
            .collect();
        assert!(evals.len() > 3, "{evals:?}");
        let area = evals
            .windows(2)
            .map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0);
        let mean = area.sum::<f64>() / last as f64;
        let told = method["mean_dev_loss"]["median"]
            .as_f64()
            .expect("a number");
        assert!((told - mean).abs() < 1e-9, "{told}, {mean}");
    }
    let csv = fs::read_to_string(dir.path().join("c/compare.csv")).expect("a table");
    assert!(
        csv.starts_with("method,lr,eps,batch_size,quantity,"),
        "{csv}"
    );
    assert!(csv.contains("examples_to_loss"), "{csv}");
    let page = fs::read_to_string(dir.path().join("c/compare.html")).expect("a page");
    assert!(page.contains("against tokens"));
    let text = run(dir.path(), &["compare", "--resume", "c"]).stdout;
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(
        text.contains("tokens to the loss") && text.contains("batch"),
        "{text}"
    );
    // all that was made is kept
    let again = run_json(dir.path(), &["compare", "--resume", "c", "--json"]);
    assert_eq!(again, report);
}

#[test]
fn what_would_be_no_fair_comparison_is_refused() {
    let dir = scratch();
    for (args, said) in [
        (&["--seed", "0,1", "--tune-seed", "0"][..], "--tune-seed 0"),
        (&["--target-score", "90"][..], "--target-score 90"),
        (&["--steps", "10"][..], "--steps"),
        (&["--method", "mezo,linear-probing"][..], "linear-probing"),
        (&["--lr", "-1"][..], "--lr -1"),
        (
            &["--tokens", "9", "--seconds", "9"][..],
            "--tokens, --seconds",
        ),
        (&["--tune-batch-size", "4,8"][..], "--tune-batch-size 4"),
        (
            &["--tune-tokens", "9", "--tune-seconds", "9"][..],
            "--tune-tokens, --tune-seconds",
        ),
    ] {
        let args = [&["compare", "--out", "c"][..], args].concat();
        refused(dir.path(), &args, &[said]);
        assert!(!dir.path().join("c").exists());
    }
}
