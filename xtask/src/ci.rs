//! `cargo xtask ci`: the checks a change has to pass, the cheapest first.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// One check: its name, the cargo arguments and what it adds to the environment.
struct Check {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// The backends for GPUs.
const GPU: &str = "zograd-cli/cuda,zograd-cli/wgpu,zograd-trainer/wgpu,zograd-perturb/wgpu";

/// All of them use the release profile, so that they share one build.
const CHECKS: &[Check] = &[
    Check {
        name: "format",
        arguments: &["fmt", "--all", "--check"],
        environment: &[],
    },
    Check {
        name: "lints",
        arguments: &[
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        environment: &[],
    },
    Check {
        name: "tests",
        arguments: &["test", "--release", "--workspace"],
        environment: &[],
    },
    Check {
        name: "documentation",
        arguments: &["doc", "--release", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "-Dwarnings")],
    },
    // burn-cuda needs no toolkit; the kernels run on OpenGL, which Mesa has without a GPU
    Check {
        name: "command with GPU backends",
        arguments: &[
            "build",
            "--release",
            "--workspace",
            "--bin",
            "zograd",
            // with the tests of the next check, so that the dependencies get their features once
            "--test",
            "cube",
            "--test",
            "wgpu",
            "--features",
            GPU,
        ],
        environment: &[],
    },
    Check {
        name: "kernels on OpenGL",
        arguments: &[
            "test",
            "--release",
            "--workspace",
            "--test",
            "cube",
            "--test",
            "wgpu",
            "--features",
            GPU,
        ],
        environment: &[],
    },
];

/// The main job: the command without any argument but `--json` fine-tunes the model that ships with
/// it.
const TRAIN: &[&str] = &[
    "run",
    "--release",
    "--quiet",
    "--package",
    "zograd-cli",
    "--",
    "train",
    "--json",
];

/// By how much the main job has to raise the accuracy: far more than the standard error of an
/// accuracy over 500 rows, 0.022.
const RISE: f64 = 0.15;

/// Runs all checks and stops at the first that fails.
///
/// # Errors
///
/// The name of the check that failed, or of the program that could not be started.
pub fn run() -> Result<()> {
    let start = Instant::now();
    for check in CHECKS {
        let start = begin(check.name, check.arguments);
        let status = cargo(check.arguments)
            .envs(check.environment.iter().copied())
            .status()
            .context("cannot start cargo")?;
        ensure!(status.success(), "check failed: {} ({status})", check.name);
        finish(check.name, start);
    }
    let name = "main job";
    let start_job = begin(name, TRAIN);
    main_job().with_context(|| format!("check failed: {name}"))?;
    finish(name, start_job);
    println!(
        "all checks passed in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn begin(name: &str, arguments: &[&str]) -> Instant {
    println!("== {name}: cargo {}", arguments.join(" "));
    Instant::now()
}

fn finish(name: &str, start: Instant) {
    println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
}

fn main_job() -> Result<()> {
    let output = cargo(TRAIN)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    let (before, after) = accuracies(&String::from_utf8(output.stdout)?)?;
    println!("accuracy {before:.3} -> {after:.3}");
    ensure!(
        after >= before + RISE,
        "the accuracy went from {before:.3} to {after:.3}; it must rise by at least {RISE}"
    );
    Ok(())
}

/// `accuracy_before` and `accuracy_after` of the report: the last line of `output` that is a JSON
/// object with both, or the whole of it (a report over several lines).
fn accuracies(output: &str) -> Result<(f64, f64)> {
    let read = |text: &str| {
        let report: Value = serde_json::from_str(text).ok()?;
        Some((
            report.get("accuracy_before")?.as_f64()?,
            report.get("accuracy_after")?.as_f64()?,
        ))
    };
    match output.lines().rev().find_map(read).or_else(|| read(output)) {
        Some(pair) => Ok(pair),
        None => bail!("its output has no JSON with accuracy_before and accuracy_after:\n{output}"),
    }
}

/// The cargo that runs this program, in the folder of the workspace.
pub fn cargo<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace());
    command
}

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_report_in_one_line_or_many() {
        let line = "{\"step\":1}\n{\"accuracy_before\":0.6,\"accuracy_after\":0.9}\n";
        assert_eq!(accuracies(line).expect("a line"), (0.6, 0.9));
        let pretty = "{\n  \"accuracy_before\": 0.5,\n  \"accuracy_after\": 1\n}\n";
        assert_eq!(accuracies(pretty).expect("all of it"), (0.5, 1.0));
        let error = accuracies("{\"accuracy_after\": 1}").expect_err("incomplete");
        assert!(error.to_string().contains("accuracy_before"));
    }

    /// Formatting is checked before anything is compiled, and nothing is left out.
    #[test]
    fn cheapest_checks_come_first() {
        assert_eq!(CHECKS[0].arguments[0], "fmt");
        let commands: Vec<&str> = CHECKS.iter().map(|check| check.arguments[0]).collect();
        assert_eq!(commands, ["fmt", "clippy", "test", "doc", "build", "test"]);
        for check in &CHECKS[1..] {
            assert!(check.arguments.contains(&"--release"), "{}", check.name);
        }
    }
}
