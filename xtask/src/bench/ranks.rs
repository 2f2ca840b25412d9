//! `cargo xtask bench ranks`: what one to four ranks do here, what the model of a step says of them, and how far it goes.

use super::Arguments;
use crate::workspace::{cargo, output, workspace};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Losses that GV with a pool of 4 asks for at a time.
const ASKS: [usize; 2] = [4, 2];

/// Examples of a batch.
const EXAMPLES: usize = 16;

/// Steps of a run.
const STEPS: u64 = 60;

/// What a run says of its steps.
struct Run {
    /// Seconds of one.
    step: f64,
    /// Seconds that the rank which waited least waited for each exchange.
    waited: f64,
}

/// Measures, extrapolates, and writes the tables and the figure of the book if that was asked for.
///
/// # Errors
/// A program that does not build or start, or a file that cannot be written.
pub fn run(arguments: &Arguments) -> Result<()> {
    let text = format!("{}\n{}", table(arguments)?, model(&[])?);
    print!("{text}");
    if arguments.write {
        let docs = workspace().join("docs/src");
        for (file, text) in [
            ("ranks-tables.md", &text),
            ("images/ranks.svg", &model(&["svg"])?),
        ] {
            let path = docs.join(file);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
            eprintln!("wrote {}", path.display());
        }
    }
    Ok(())
}

/// Seconds of a step on 1 to 4 ranks with one thread each, measured and by the model, whose two numbers are taken from one
/// rank with the batch and with a quarter of it.
///
/// # Errors
/// `mpirun` or the command cannot be built, started or read.
fn table(arguments: &Arguments) -> Result<String> {
    let build = [
        "build",
        "--release",
        "--quiet",
        "--workspace",
        "--bin",
        "zograd",
    ];
    let status = cargo(&build)
        .args(["--features", "zograd-cli/mpi"])
        .status()?;
    ensure!(
        status.success(),
        "the command with MPI does not build ({status})"
    );
    let folder = scratch()?;
    let best = |ranks: usize, examples: usize| -> Result<Run> {
        let mut best: Option<Run> = None;
        for _ in 0..arguments.rounds {
            let found = measure(&folder, ranks, examples)?;
            if best.as_ref().is_none_or(|best| found.step < best.step) {
                best = Some(found);
            }
        }
        best.context("no round")
    };
    let (whole, part) = (best(1, EXAMPLES)?, best(1, EXAMPLES / 4)?);
    let evaluations = ASKS.iter().sum::<usize>() as f64;
    // an evaluation is so long however few examples it has, and so much longer for each
    let each = (whole.step - part.step) / evaluations / (EXAMPLES - EXAMPLES / 4) as f64;
    let fixed = (whole.step / evaluations - each * EXAMPLES as f64).max(0.0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!(
        "Measured with the built-in model (GV, a pool of 4, batches of {EXAMPLES}; one thread a rank, {processors} \
         processors; the fastest of {} runs of {STEPS} steps), milliseconds:\n\n| ranks | step | by the model | off by | \
         least wait of an exchange |\n|---|---|---|---|---|\n",
        arguments.rounds
    );
    let here = [fixed.to_string(), each.to_string(), processors.to_string()];
    let here: Vec<&str> = ["here"]
        .into_iter()
        .chain(here.iter().map(String::as_str))
        .collect();
    let predicted: Vec<f64> = serde_json::from_str(&model(&here)?)?;
    for (ranks, model) in (1..).zip(predicted) {
        let found = match ranks {
            1 => Run {
                step: whole.step,
                waited: 0.0,
            },
            _ => best(ranks, EXAMPLES)?,
        };
        let waited = match ranks {
            1 => "none".to_owned(),
            _ => significant(1e3 * found.waited.max(1e-9)),
        };
        let _ = writeln!(
            text,
            "| {ranks} | {} | {} | {:+.0}% | {} |",
            significant(1e3 * found.step),
            significant(1e3 * model),
            100.0 * (model / found.step - 1.0),
            waited
        );
    }
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(text)
}

/// What the model prints for these arguments.
fn model(arguments: &[&str]) -> Result<String> {
    let run = [
        "run",
        "--release",
        "--quiet",
        "--package",
        "zograd-ranks",
        "--example",
        "scale",
        "--",
    ];
    output(&[&run, arguments].concat())
}

/// Three digits.
fn significant(x: f64) -> String {
    let digits = (2.0 - x.abs().log10().floor()).max(0.0) as usize;
    format!("{x:.digits$}")
}

fn scratch() -> Result<PathBuf> {
    let folder = workspace().join("target/bench/ranks");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn measure(folder: &Path, ranks: usize, examples: usize) -> Result<Run> {
    let out = folder.join("run");
    if out.exists() {
        std::fs::remove_dir_all(&out)?;
    }
    let zograd = workspace().join("target/release/zograd");
    let mut command = Command::new("mpirun");
    command
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
        .args([
            "--allow-run-as-root",
            "--oversubscribe",
            "--bind-to",
            "none",
            "-n",
        ])
        .arg(ranks.to_string())
        .arg(zograd)
        .args([
            "train",
            "--json",
            "--method",
            "gv",
            "--pool",
            "4",
            "--threads",
            "1",
        ])
        .args(["--dev-examples", "0", "--test-examples", "4"])
        .args(["--steps", &STEPS.to_string()])
        .args(["--batch-size", &examples.to_string()])
        .arg("--out")
        .arg(&out)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command
        .status()
        .context("cannot start mpirun (openmpi-bin)")?;
    ensure!(status.success(), "{command:?}: {status}");
    let text = std::fs::read_to_string(out.join("summary.json"))?;
    let summary: Value = serde_json::from_str(&text)?;
    let seconds = summary["seconds"].as_f64().context("no seconds")?;
    let waited = summary["waited"].as_array().into_iter().flatten();
    let least = waited
        .filter_map(Value::as_f64)
        .fold(f64::INFINITY, f64::min);
    Ok(Run {
        step: seconds / STEPS as f64,
        waited: match least.is_finite() {
            true => least / (STEPS as f64 * ASKS.len() as f64),
            false => 0.0,
        },
    })
}
