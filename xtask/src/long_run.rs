//! `cargo xtask long-run`: what must not grow over a long run does not.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Steps after which everything is allocated that a run needs.
const SETTLED: u64 = 1000;

/// How much of the resident memory after [`SETTLED`] steps may be added until the end.
const GROWTH: f64 = 0.02;

/// The log of a method with at most five terms an update.
const BYTES_A_STEP: f64 = 100.0;

/// How much slower the median step of the last tenth may be than that of the first. Generous: other programs run too.
const SLOWER: f64 = 1.25;

/// How often the resident memory is read.
const INTERVAL: Duration = Duration::from_millis(100);

/// Trains and checks.
///
/// # Errors
/// The run fails, or something grows.
pub fn run(steps: u64) -> Result<()> {
    ensure!(
        steps >= 2 * SETTLED,
        "--steps {steps}: use at least {}",
        2 * SETTLED
    );
    let status = Command::new("cargo")
        .args(["build", "--release", "--workspace", "--bin", "zograd"])
        .status()?;
    ensure!(status.success(), "the build failed");
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let dir = tempfile::tempdir()?;
    let run = dir.path().join("run");
    let mut child = Command::new(Path::new(&target).join("release/zograd"))
        .args([
            "train",
            "--batch-size",
            "4",
            "--dev-examples",
            "50",
            "--steps",
        ])
        .args([
            &steps.to_string(),
            "--eval-every",
            &SETTLED.to_string(),
            "--out",
        ])
        .arg(&run)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let statm = format!("/proc/{}/statm", child.id());
    // (steps done, resident pages)
    let mut samples: Vec<(u64, u64)> = Vec::new();
    while child.try_wait()?.is_none() {
        let pages = fs::read_to_string(&statm).ok().and_then(|s| {
            s.split_whitespace()
                .nth(1)
                .and_then(|pages| pages.parse().ok())
        });
        if let (Some(step), Some(pages)) = (last_step(&run.join("metrics.jsonl")), pages) {
            samples.push((step, pages));
        }
        std::thread::sleep(INTERVAL);
    }
    ensure!(child.wait()?.success(), "the run failed");

    let around = |from: u64, to: u64| -> Vec<f64> {
        let inside = samples
            .iter()
            .filter(|(step, _)| (from..=to).contains(step));
        inside.map(|(_, pages)| *pages as f64).collect()
    };
    let early = median(around(SETTLED, 2 * SETTLED)).context("no sample near the start")?;
    let late = median(around(steps - SETTLED, steps)).context("no sample near the end")?;
    let seconds = step_seconds(&run.join("metrics.jsonl"))?;
    let tenth = seconds.len() / 10;
    let first = median(seconds[..tenth].to_vec()).context("no steps")?;
    let last = median(seconds[seconds.len() - tenth..].to_vec()).context("no steps")?;
    let bytes = fs::metadata(run.join("trajectory.zog"))?.len();
    let per_step = bytes as f64 / steps as f64;
    println!("steps           {steps}");
    println!(
        "resident memory {:.2} of that after {SETTLED} steps (at most {:.2})",
        late / early,
        1.0 + GROWTH
    );
    println!(
        "step time       {:.2} of that at the start (at most {SLOWER})",
        last / first
    );
    println!("log             {bytes} bytes, {per_step:.1} a step (at most {BYTES_A_STEP})");
    ensure!(late <= early * (1.0 + GROWTH), "the memory grows");
    ensure!(last <= first * SLOWER, "the steps become slower");
    ensure!(per_step < BYTES_A_STEP, "the log is too large");
    Ok(())
}

/// The number of the last step in the metrics, from the end of the file.
fn last_step(metrics: &Path) -> Option<u64> {
    let mut file = File::open(metrics).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2000)))
        .ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let lines = tail.split(|b| *b == b'\n').rev();
    lines
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .find_map(|line| line["step"].as_u64())
}

/// How long each step took.
fn step_seconds(metrics: &Path) -> Result<Vec<f64>> {
    let text = fs::read_to_string(metrics)?;
    let totals = text.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["kind"] == "step")
            .then(|| line["seconds"].as_f64())
            .flatten()
    });
    let mut before = 0.0;
    Ok(totals
        .map(|total| total - std::mem::replace(&mut before, total))
        .collect())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
