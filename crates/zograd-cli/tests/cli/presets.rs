//! `zograd presets`, and training with one.

use crate::support::{run, run_json, scratch, unpack, zograd};
use serde_json::Value;
use std::fs;

#[test]
fn presets_are_listed_and_filtered() {
    let dir = scratch();
    let all = run_json(dir.path(), &["presets", "--json"]);
    assert!(all.as_array().expect("a list").len() >= 40);
    let some = run_json(dir.path(), &["presets", "--json", "13b/SST2"]);
    let names: Vec<&str> = some
        .as_array()
        .expect("a list")
        .iter()
        .map(|p| p["name"].as_str().expect("a name"))
        .collect();
    let methods = ["mezo", "mezo-subzero", "gv", "gv-subzero"];
    assert_eq!(
        names,
        methods.map(|method| format!("paper/opt-13b/sst2/{method}"))
    );
    assert_eq!(some[2]["paper"]["percent"], 93.9);
    assert_eq!(some[2]["train"]["steps"], 5000);
    assert_eq!(some[3]["train"]["perturbation"], "subzero");
    let cost = &some[0]["cost"];
    let batch = some[0]["train"]["batch-size"].as_u64().expect("a number");
    let forwards = 2 * some[0]["train"]["steps"].as_u64().expect("a number");
    assert_eq!(
        (cost["forwards"].as_u64(), cost["examples"].as_u64()),
        (Some(forwards), Some(forwards * batch))
    );
    assert_eq!(cost["weight_bytes"], 25_706_946_560_u64);
    let text = run(dir.path(), &["presets", "13b/sst2"]).stdout;
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(
        text.contains("paper/opt-13b/sst2/gv") && text.contains("93.9"),
        "{text}"
    );
}

#[test]
fn starts_for_models_of_today_say_why_and_how_large_they_are() {
    let dir = scratch();
    let starts = run_json(dir.path(), &["presets", "--json", "start/"]);
    let starts = starts.as_array().expect("a list");
    assert!(starts.len() >= 10);
    for start in starts {
        assert!(start["start"]["why"].is_string() && start.get("paper").is_none());
        if start["name"] == "start/any/recipe" {
            assert!(start["train"].get("model").is_none());
            continue;
        }
        let bytes = start["cost"]["weight_bytes"].as_f64().expect("a size");
        // from 0.1B in f32 to 8B in 16 bits
        assert!((4e8..17e9).contains(&bytes), "{start}");
    }
    let text = run(dir.path(), &["presets", "start/llama-3.1-8b"]).stdout;
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(
        text.contains("start/llama-3.1-8b/gv-lora") && text.contains("16.1"),
        "{text}"
    );
}

/// The paper's settings on the built-in model, at a size that ends in a second.
const SMALL: [&str; 20] = [
    "train",
    "--preset",
    "paper/opt-13b/sst2/gv",
    "--model",
    "model",
    "--data",
    "data",
    "--backend",
    "ndarray",
    "--dtype",
    "f32",
    "--steps",
    "2",
    "--train-examples",
    "32",
    "--dev-examples",
    "16",
    "--test-examples",
    "16",
    "--json",
];

#[test]
fn the_papers_number_stands_beside_ours() {
    let dir = scratch();
    unpack(dir.path());
    let report = run_json(dir.path(), &[&SMALL[..], &["--out", "run"]].concat());
    assert_eq!(report["method"], "gv");
    assert_eq!(report["paper"]["percent"], 93.9);
    assert_eq!(report["paper"]["zero-shot-percent"], 58.8);
    let differs = report["paper"]["differs_in"].to_string();
    assert!(
        differs.contains("\"model\"") && differs.contains("\"steps\""),
        "{differs}"
    );
    assert!(
        !differs.contains("\"lr\"") && !differs.contains("\"eps\""),
        "{differs}"
    );
    let config = fs::read_to_string(dir.path().join("run/config.toml")).expect("settings");
    let config: toml::Table = config.parse().expect("TOML");
    assert_eq!(config["lr"].as_float(), Some(2e-7));
    assert_eq!(config["bos-id"].as_integer(), Some(0));
    assert_eq!(config["steps"].as_integer(), Some(2));

    // the settings of a run keep it
    let again = ["train", "--config", "run/config.toml", "--out", "again"];
    let text = run(dir.path(), &again).stdout;
    let text = String::from_utf8(text).expect("UTF-8");
    let line = text
        .lines()
        .find(|line| line.starts_with("paper"))
        .expect(&text);
    for part in ["93.9 %", "MeZO-GV", "OPT-13B", "ours", "differs in"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn flags_win_over_a_preset() {
    let dir = scratch();
    unpack(dir.path());
    let report: Value = run_json(
        dir.path(),
        &[&SMALL[..], &["--method", "mezo", "--lr", "1e-5"]].concat(),
    );
    assert_eq!(
        (&report["method"], &report["forwards"]),
        (&"mezo".into(), &4.into())
    );
}

#[test]
fn an_unknown_preset_suggests_near_ones() {
    let dir = scratch();
    for (name, part) in [
        ("paper/opt13b/sst2/gv", "paper/opt-13b/sst2/gv"),
        ("papers", "zograd presets"),
    ] {
        let args = ["train", "--preset", name];
        let output = zograd(dir.path(), &args)
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(name) && error.contains(part), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
