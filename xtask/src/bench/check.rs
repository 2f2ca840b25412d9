//! `cargo xtask bench check`: counts, which are equal on every machine, and ratios of times taken in one process,
//! which are similar on most; never seconds.

use super::program::{Programs, number, numbers};
use super::spread::Spread;
use super::{Arguments, noise, targets};
use crate::workspace::workspace;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// benches/thresholds.toml.
#[derive(Debug, Deserialize)]
struct Thresholds {
    steps: BTreeMap<String, BTreeMap<String, u64>>,
    dense: BTreeMap<String, BTreeMap<String, u64>>,
    ratios: BTreeMap<String, f64>,
}

/// Measures and compares.
///
/// # Errors
/// A measurement that fails, or the names of all numbers that are worse than their thresholds.
pub fn run(programs: &Programs, arguments: &Arguments) -> Result<()> {
    let file = workspace().join("benches/thresholds.toml");
    let context = || file.display().to_string();
    let text = std::fs::read_to_string(&file).with_context(context)?;
    let thresholds: Thresholds = toml::from_str(&text).with_context(context)?;

    let mut bad = Vec::new();
    for (length, expected) in &thresholds.dense {
        let report = programs.measure(&["counts", "--batch", "16", "--seq", length])?;
        bad.extend(differing(
            &report["batches"][0],
            expected,
            &format!("dense.{length}"),
        ));
        for (method, expected) in &thresholds.steps {
            let counts = &report["methods"][method];
            bad.extend(differing(counts, expected, &format!("steps.{method}")));
        }
    }
    let threads = arguments.threads.to_string();
    let forward = programs.measure(&["forward", "--seq", "64", "--threads", &threads])?;
    let mut ratios = vec![("", forward_ratios(&forward)?)];
    for instructions in ["avx512", "avx2"] {
        if noise::has(instructions) {
            let passes = programs.measure(&noise::pass_arguments(&threads, instructions))?;
            ratios.push((instructions, pass_ratios(&passes)?));
        }
    }
    for (instructions, ratios) in ratios {
        for (name, value) in ratios {
            let least = thresholds.ratios.get(name);
            let least = *least.with_context(|| format!("{}: no ratios.{name}", file.display()))?;
            let value_text = targets::short(value);
            println!("{name:<28} {value_text} (at least {least}) {instructions}");
            if value < least {
                bad.push(format!(
                    "ratios.{name}: {value:.3}, at least {least} {instructions}"
                ));
            }
        }
    }
    if bad.is_empty() {
        println!("counts and ratios hold");
        return Ok(());
    }
    bail!("worse than {}:\n{}", file.display(), bad.join("\n"))
}

/// Which counts of a report are not the expected ones.
fn differing(report: &Value, expected: &BTreeMap<String, u64>, name: &str) -> Vec<String> {
    let differs = |(key, expected): (&String, &u64)| match report[key].as_u64() {
        Some(found) if found == *expected => None,
        found => Some(format!("{name}.{key}: {found:?}, expected {expected}")),
    };
    expected.iter().filter_map(differs).collect()
}

/// By name.
type Ratios = Vec<(&'static str, f64)>;

/// Numbers of noise against numbers that are moved as fast as memory allows. The best repetition of each, since
/// disturbances only slow down.
fn pass_ratios(passes: &Value) -> Result<Ratios> {
    let copy = best(passes, "in_place_s")?.min(best(passes, "copy_s")?);
    Ok(vec![
        ("gaussian_share_of_copy", copy / best(passes, "gaussian_s")?),
        (
            "gaussian_five_streams_of_copy",
            5.0 * copy / best(passes, "gaussian5_s")?,
        ),
        (
            "rademacher_share_of_copy",
            copy / best(passes, "rademacher_s")?,
        ),
    ])
}

fn forward_ratios(forward: &Value) -> Result<Ratios> {
    let peak = Spread::of(&numbers(forward, "peak_flops")?).map_or(f64::NAN, |s| s.max);
    let rate = number(forward, "flops")? / best(forward, "forward_s")?;
    let linear = number(forward, "linear_flops")? / best(forward, "linear_s")?;
    Ok(vec![
        ("forward_share_of_peak", rate / peak),
        ("linear_share_of_peak", linear / peak),
    ])
}

fn best(report: &Value, name: &str) -> Result<f64> {
    Ok(Spread::of(&numbers(report, name)?).map_or(f64::NAN, |s| s.min))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_what_differs() {
        let expected = BTreeMap::from([("passes".to_owned(), 3), ("forwards".to_owned(), 2)]);
        let report = json!({"passes": 4, "forwards": 2, "streams": 9});
        let bad = differing(&report, &expected, "steps.mezo");
        assert_eq!(bad, ["steps.mezo.passes: Some(4), expected 3"]);
        assert_eq!(differing(&json!({}), &expected, "x").len(), 2);
    }

    #[test]
    fn ratios_are_of_the_best_repetitions() {
        let passes = json!({"in_place_s": [2.0], "copy_s": [3.0, 1.0], "gaussian_s": [4.0, 5.0],
            "gaussian5_s": [2.5], "rademacher_s": [2.0]});
        let forward = json!({"flops": 6e9, "forward_s": [2.0, 3.0], "linear_flops": 5e9,
            "linear_s": [1.0], "peak_flops": [4e9, 5e9]});
        let values = |ratios: Ratios| ratios.into_iter().map(|(_, value)| value).collect();
        let passes: Vec<f64> = values(pass_ratios(&passes).expect("complete"));
        assert_eq!(passes, [0.25, 2.0, 0.5]);
        let forward: Vec<f64> = values(forward_ratios(&forward).expect("complete"));
        assert_eq!(forward, [0.6, 1.0]);
    }

    #[test]
    fn the_committed_file_has_every_ratio() {
        let text = include_str!("../../../benches/thresholds.toml");
        let thresholds: Thresholds = toml::from_str(text).expect("valid");
        assert_eq!(thresholds.ratios.len(), 5);
        assert!(thresholds.steps.contains_key("mezo") && thresholds.dense.contains_key("64"));
    }
}
