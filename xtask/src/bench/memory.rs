//! Peak resident memory of a whole training run of the command, as the system counts it.

use super::program::{Programs, number};
use super::record::Record;
use super::{Arguments, Sink};
use anyhow::{Context, Result, ensure};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A run that is measured.
struct Run {
    name: &'static str,
    /// A published shape.
    shape: &'static str,
    /// Where it runs, as flags.
    place: [&'static str; 2],
    /// Bytes of a weight.
    bytes: f64,
    /// What it may take: so many times the weights, and so many bytes.
    limit: [f64; 2],
}

/// The records of this topic.
pub const OPT: &str = "memory/opt-125m";
pub const LLAMA: &str = "memory/llama-3.2-1b-f32";
pub const LLAMA_BF16: &str = "memory/llama-3.2-1b-bf16";

const RUNS: [Run; 3] = [
    Run {
        name: OPT,
        shape: "opt-125m",
        place: ["--backend=ndarray", "--dtype=f32"],
        bytes: 4.0,
        limit: [1.25, 200e6],
    },
    Run {
        name: LLAMA,
        shape: "llama-3.2-1b",
        place: ["--backend=ndarray", "--dtype=f32"],
        bytes: 4.0,
        limit: [1.2, 300e6],
    },
    Run {
        name: LLAMA_BF16,
        shape: "llama-3.2-1b",
        place: ["--backend=flex", "--dtype=bf16"],
        bytes: 2.0,
        limit: [1.2, 300e6],
    },
];

/// Trains models of random weights for a few steps, each in a process of its own.
pub fn measure(programs: &Programs, arguments: &Arguments, sink: &mut Sink<'_>) -> Result<()> {
    RUNS.iter()
        .filter(|run| arguments.wants(run.name))
        .try_for_each(|run| sink(run.measure(programs, arguments)?))
}

impl Run {
    fn measure(&self, programs: &Programs, arguments: &Arguments) -> Result<Record> {
        let folder = tempfile::tempdir().context("a scratch folder")?;
        let inputs = folder.path().display().to_string();
        let words = ["run-inputs", "--model-config", self.shape, &inputs];
        let weights = self.bytes * number(&programs.measure(&words)?, "parameters")?;
        let limit = self.limit[0] * weights + self.limit[1];
        let mut peaks = Vec::new();
        // a peak does not scatter as times do
        for round in 1..=arguments.rounds.min(2) {
            let mut command = programs.zograd();
            command.current_dir(folder.path()).args([
                "train",
                "--json",
                "--model=model",
                "--task=sst2",
                "--data=data",
                "--method=gv",
                "--pool=4",
                "--steps=3",
                "--eval-every=2",
                "--train-examples=150",
                "--dev-examples=32",
                "--test-examples=32",
            ]);
            command.args(self.place);
            command.arg(format!("--threads={}", arguments.threads));
            command.arg(format!("--out=run-{round}"));
            let child = command.stdout(Stdio::null()).spawn();
            let peak = watch(child.context("cannot start zograd")?)?;
            eprintln!("{}: round {round}: {:.0} MB", self.name, peak / 1e6);
            peaks.push(peak);
        }
        let mut record = Record::new(self.name, peaks.len());
        let scaled = |by: f64| peaks.iter().map(|peak| peak / by).collect::<Vec<_>>();
        record.add("peak_mb", &scaled(1e6));
        record.add("weights_mb", &[weights / 1e6]);
        record.add("limit_mb", &[limit / 1e6]);
        record.add("share_of_limit", &scaled(limit));
        Ok(record)
    }
}

/// Waits for a process, looking at its high-water mark all the time; it only grows, so the last look is the peak.
fn watch(mut child: Child) -> Result<f64> {
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for zograd")? {
            break status;
        }
        let status = std::fs::read_to_string(&status_file).unwrap_or_default();
        peak = high_water_mark(&status).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(5));
    };
    ensure!(status.success(), "zograd train: {status}");
    ensure!(
        peak > 0.0,
        "{status_file} says nothing: memory is measured on Linux only"
    );
    Ok(peak)
}

/// `VmHWM` in bytes; a process that has ended has none.
fn high_water_mark(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_high_water_mark() {
        let status = "Name:\tzograd\nVmHWM:\t   2048 kB\nVmRSS:\t 12 kB\n";
        assert_eq!(high_water_mark(status), Some(2_097_152.0));
        assert_eq!(high_water_mark("Name:\tzograd\nState:\tZ (zombie)\n"), None);
    }
}
