//! Side-by-side timing of whole steps: our `zo_step` and another program, in alternation in one run, because the
//! speed of a machine drifts. The other program prints one JSON object with `step_s_median` and, if it likes,
//! `peak_rss_mib`.

use crate::ci::{cargo, workspace};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// What to run against what.
pub struct Comparison<'a> {
    /// The other program with its arguments, split at blanks.
    pub peer: &'a str,
    /// Arguments of `zo_step`.
    pub ours: &'a [String],
    /// How often each is run.
    pub rounds: usize,
    /// Print JSON instead of text.
    pub json: bool,
}

/// One run of a program.
struct Run {
    step_s: f64,
    peak_mib: Option<f64>,
}

impl Comparison<'_> {
    /// Runs both `rounds` times in turn and prints the ratios of their step times and peak memory.
    ///
    /// # Errors
    ///
    /// A program cannot be started, fails, or prints no such JSON.
    pub fn run(&self) -> Result<()> {
        ensure!(self.rounds > 0, "--rounds 0: use at least 1");
        // without the checks of the release profile, as it is shipped
        let build = [
            "build",
            "--profile",
            "bench",
            "--package",
            "zograd-benches",
            "--bin",
            "zo_step",
        ];
        let status = cargo(&build).status().context("cannot start cargo")?;
        ensure!(status.success(), "zo_step does not build ({status})");
        let program = workspace().join("target/release/zo_step");
        let mut peer_words = self.peer.split_whitespace();
        let peer_program = peer_words.next().context("--peer: the command is empty")?;

        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for round in 1..=self.rounds {
            ours.push(measure(Command::new(&program).args(self.ours))?);
            peer.push(measure(
                Command::new(peer_program).args(peer_words.clone()),
            )?);
            eprintln!(
                "round {round}: zograd {:.3} s, peer {:.3} s",
                ours[round - 1].step_s,
                peer[round - 1].step_s
            );
        }
        let ratios: Vec<f64> = ours
            .iter()
            .zip(&peer)
            .map(|(a, b)| b.step_s / a.step_s)
            .collect();
        let [low, middle, high] = spread(&ratios);
        let seconds = |runs: &[Run]| spread(&runs.iter().map(|r| r.step_s).collect::<Vec<_>>());
        let memory = |runs: &[Run]| runs.iter().filter_map(|r| r.peak_mib).reduce(f64::max);
        let (our_memory, peer_memory) = (memory(&ours), memory(&peer));
        if self.json {
            let report = json!({
                "rounds": self.rounds,
                "speedup": {"min": low, "median": middle, "max": high},
                "zograd_step_s": seconds(&ours),
                "peer_step_s": seconds(&peer),
                "zograd_peak_mib": our_memory,
                "peer_peak_mib": peer_memory,
            });
            println!("{report}");
        } else {
            println!(
                "step   {middle:.2} times as fast as the peer ({low:.2} to {high:.2} in {} rounds)",
                self.rounds
            );
            println!(
                "       zograd {:.3} s, peer {:.3} s (medians)",
                seconds(&ours)[1],
                seconds(&peer)[1]
            );
            if let (Some(a), Some(b)) = (our_memory, peer_memory) {
                println!("memory zograd {a:.0} MiB, peer {b:.0} MiB at most");
            }
        }
        Ok(())
    }
}

fn measure(command: &mut Command) -> Result<Run> {
    let words = format!("{command:?}");
    let output = command
        .current_dir(workspace())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {words}"))?;
    ensure!(output.status.success(), "{words}: {}", output.status);
    parse(&String::from_utf8_lossy(&output.stdout)).with_context(|| words)
}

fn parse(output: &str) -> Result<Run> {
    for line in output.lines().rev() {
        if let Ok(report) = serde_json::from_str::<Value>(line)
            && let Some(step_s) = report["step_s_median"].as_f64()
        {
            return Ok(Run {
                step_s,
                peak_mib: report["peak_rss_mib"].as_f64(),
            });
        }
    }
    bail!("its output has no JSON line with step_s_median")
}

/// Minimum, median and maximum.
fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [
        sorted[0],
        sorted[sorted.len() / 2],
        sorted[sorted.len() - 1],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_report() {
        let run = parse("warming up\n{\"step_s_median\": 2.5, \"peak_rss_mib\": 100}\n")
            .expect("a report");
        assert_eq!((run.step_s, run.peak_mib), (2.5, Some(100.0)));
        assert!(parse("{\"other\": 1}").is_err());
    }

    #[test]
    fn spread_is_ordered() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), [1.0, 2.0, 3.0]);
        assert_eq!(spread(&[4.0]), [4.0; 3]);
    }
}
