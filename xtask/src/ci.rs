//! `cargo xtask ci`: the checks a change has to pass, the cheapest first.

use crate::workspace::cargo;
use crate::{examples, house, licences, msrv, package};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a check does.
enum Work {
    /// Runs cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// What this program does itself.
    Own(fn() -> Result<()>),
}
use Work::{Cargo, Own};

/// The backends for GPUs.
const GPU: &str = "zograd-cli/cuda,zograd-cli/wgpu";

/// What the tests of kernels need of them.
const KERNELS: &str = "zograd-models/wgpu,zograd-perturb/wgpu";

/// What needs no build comes first. The rest uses the release profile and the features of the whole workspace, so that
/// every dependency is compiled once.
const CHECKS: &[(&str, Work)] = &[
    ("format", Cargo(&["fmt", "--all", "--check"])),
    ("house", Own(house::run)),
    ("licences", Own(licences::run)),
    ("oldest Rust of dependencies", Own(msrv::dependencies)),
    ("advisories", Own(advisories)),
    ("packages", Own(|| package::run(false))),
    // with the backends for GPUs, so that their types are checked too (burn-cuda needs no toolkit); machine code of every family
    // on two more backends takes long, and is made before a release (RELEASE.md)
    (
        "lints",
        Cargo(&[
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--features",
            GPU,
            "--",
            "-D",
            "warnings",
        ]),
    ),
    ("tests", Cargo(&["test", "--release", "--workspace"])),
    ("ranks over MPI", Own(mpi)),
    (
        "documentation",
        Cargo(&["doc", "--release", "--workspace", "--no-deps"]),
    ),
    ("examples", Own(examples::run)),
    ("main job", Own(main_job)),
    // on OpenGL, which Mesa has without a GPU; whole steps there (`zograd-trainer --test wgpu`) are made before a release
    (
        "kernels on OpenGL",
        Cargo(&[
            "test",
            "--release",
            "--workspace",
            "--test",
            "cube",
            "--features",
            KERNELS,
        ]),
    ),
];

/// The main job: the command without any argument but `--json` fine-tunes the model that ships with
/// it.
const TRAIN: &[&str] = &[
    "run",
    "--release",
    "--quiet",
    // of the default members and not of one package, which would build the libraries without their default features
    "--bin",
    "zograd",
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
    for (name, work) in CHECKS {
        let start = Instant::now();
        match work {
            Cargo(arguments) => {
                println!("== {name}: cargo {}", arguments.join(" "));
                succeed(arguments)
            }
            Own(check) => {
                println!("== {name}");
                check()
            }
        }
        .with_context(|| format!("check failed: {name}"))?;
        println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    }
    println!(
        "all checks passed in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn succeed(arguments: &[&str]) -> Result<()> {
    let mut command = cargo(arguments);
    if arguments[0] == "doc" {
        command.env("RUSTDOCFLAGS", "-Dwarnings");
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo ended with {status}");
    Ok(())
}

/// cargo-deny with `deny.toml`, where it is installed.
fn advisories() -> Result<()> {
    if !cargo(&["deny", "--version"]).output()?.status.success() {
        println!("skipped: cargo-deny is not installed (cargo install cargo-deny --locked)");
        return Ok(());
    }
    succeed(&["deny", "check"])
}

/// The command with MPI: it is linked once more, and shares all else with the tests before it. Where there is no MPI the check
/// is left out, but not in the CI.
fn mpi() -> Result<()> {
    let found = ["mpirun", "mpicc"].map(|program| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    });
    if found.contains(&false) {
        ensure!(
            std::env::var_os("CI").is_none(),
            "there is no MPI (Debian: openmpi-bin, libopenmpi-dev, libclang-dev)"
        );
        println!("skipped: there is no MPI (Debian: openmpi-bin, libopenmpi-dev, libclang-dev)");
        return Ok(());
    }
    let with = ["--release", "--workspace", "--features", "zograd-cli/mpi"];
    succeed(&[&["test"], &with[..], &["--test", "mpi"]].concat())
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

    /// Nothing is compiled before all has been checked that needs no build, and nothing is left out.
    #[test]
    fn cheapest_checks_come_first() {
        let commands: Vec<&str> = CHECKS
            .iter()
            .map(|(name, work)| match work {
                Cargo(arguments) => arguments[0],
                Own(_) => name,
            })
            .collect();
        assert_eq!(
            commands,
            [
                "fmt",
                "house",
                "licences",
                "oldest Rust of dependencies",
                "advisories",
                "packages",
                "clippy",
                "test",
                "ranks over MPI",
                "doc",
                "examples",
                "main job",
                "test"
            ]
        );
        for (name, work) in &CHECKS[1..] {
            if let Cargo(arguments) = work {
                assert!(arguments.contains(&"--release"), "{name}");
            }
        }
    }
}
