//! Budgets in examples, tokens and seconds: where a run ends, and that it ends there again.

use crate::killed::kill_and_resume;
use crate::support::{json, metrics, run, run_json, scratch, small, zograd};
use serde_json::Value;
use std::path::Path;

/// A run of some hundred steps with this budget.
fn train<'a>(out: &'a str, budget: &[&'a str]) -> Vec<&'a str> {
    small(out, &[&["--method", "mezo"], budget].concat())
}

fn tokens(metrics: &[Value]) -> Vec<u64> {
    metrics
        .iter()
        .filter_map(|line| line["tokens"].as_u64())
        .collect()
}

fn weights(dir: &Path, run_folder: &str) -> Value {
    json(&dir.join(run_folder).join("summary.json"))["weights"].clone()
}

/// A budget in examples is one in forward passes of so many examples each.
#[test]
fn examples_are_forwards_times_the_batch() {
    let dir = scratch();
    let summary = run_json(dir.path(), &train("e", &["--examples", "100"]));
    // 8 a step: 12 of them
    assert_eq!(
        (&summary["steps"], &summary["forwards"]),
        (&12.into(), &24.into())
    );
}

/// The step that reaches the tokens is the last, every tenth of them is evaluated, and a run that is killed on the way ends
/// with the same steps, evaluations and weights.
#[test]
fn a_budget_of_tokens_ends_a_run_at_the_same_step_after_a_kill() {
    let dir = scratch();
    let budget = ["--tokens", "40000"];
    let summary = run_json(dir.path(), &train("whole", &budget));
    assert_eq!(summary["stop"], "budget");
    let whole = metrics(&dir.path().join("whole"));
    let spent = tokens(&whole);
    let (last, before) = (spent[spent.len() - 1], spent[spent.len() - 2]);
    assert!(before < 40000 && 40000 <= last, "{before}, {last}");
    let evals: Vec<u64> = whole
        .iter()
        .filter(|line| line["dev_loss"].is_number())
        .filter_map(|line| line["step"].as_u64())
        .collect();
    // the untuned model and ten tenths
    assert_eq!(evals.len(), 11, "{evals:?}");
    assert_eq!(evals.last().copied(), summary["steps"].as_u64());
    for (tenth, step) in evals.iter().enumerate().skip(1) {
        let at = spent[*step as usize - 1];
        let ago = step.checked_sub(2).map_or(0, |i| spent[i as usize]);
        let due = 4000 * tenth as u64;
        assert!(ago < due && due <= at, "{tenth}: {ago}, {at}");
    }

    let words = [&["--method", "mezo"][..], &budget].concat();
    kill_and_resume(dir.path(), "killed", &words, 6_000);
    assert_eq!(metrics(&dir.path().join("killed")), whole);
    assert_eq!(weights(dir.path(), "killed"), weights(dir.path(), "whole"));
    let verified = run(dir.path(), &["log", "verify", "killed/trajectory.zog"]).stdout;
    assert!(String::from_utf8_lossy(&verified).contains("whole"));
    // its end is its end
    let output = zograd(dir.path(), &["train", "--resume", "whole"])
        .output()
        .expect("the binary starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("has spent its --tokens"), "{error}");
}

/// The clock says where a run ends, and nothing else: as many steps without a clock are the same run, and the log says all.
#[test]
fn a_budget_of_seconds_is_so_many_steps() {
    let dir = scratch();
    let timed = run_json(dir.path(), &train("timed", &["--seconds", "0.3"]));
    assert_eq!(timed["stop"], "budget");
    let steps = timed["steps"].as_u64().expect("a number");
    let text = std::fs::read_to_string(dir.path().join("timed/metrics.jsonl")).expect("metrics");
    let seconds: Vec<f64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["losses"].is_array())
        .filter_map(|line| line["seconds"].as_f64())
        .collect();
    assert_eq!(seconds.len() as u64, steps);
    assert!(seconds[seconds.len() - 1] >= 0.3);
    assert!(seconds[..seconds.len() - 1].iter().all(|s| *s < 0.3));
    let steps = steps.to_string();
    let counted = run_json(dir.path(), &train("counted", &["--steps", &steps]));
    assert_eq!(counted["weights"], timed["weights"]);
    let verified = run(dir.path(), &["log", "verify", "timed/trajectory.zog"]).stdout;
    assert!(String::from_utf8_lossy(&verified).contains("whole"));
}
