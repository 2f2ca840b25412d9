//! The programs that measure: ours, and those they are compared with. Each prints one line of JSON.

use crate::workspace::{cargo, workspace};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Our programs, built with the release profile: optimised, and with the overflow checks and debug assertions of
/// this workspace's crates, which are on in every build but the shipped one.
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds them.
    ///
    /// # Errors
    /// They do not build.
    pub fn build() -> Result<Self> {
        // the features of the whole workspace, so that dependencies built by other commands are used again
        let build = [
            "build",
            "--release",
            "--quiet",
            "--workspace",
            "--bin",
            "measure",
            "--bin",
            "zograd",
        ];
        let status = cargo(&build).status().context("cannot start cargo")?;
        ensure!(status.success(), "the programs do not build ({status})");
        Ok(Self {
            folder: workspace().join("target/release"),
        })
    }

    /// The command itself.
    pub fn zograd(&self) -> Command {
        Command::new(self.folder.join("zograd"))
    }

    /// Runs `measure` with these arguments.
    ///
    /// # Errors
    /// It fails.
    pub fn measure<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Value> {
        report(Command::new(self.folder.join("measure")).args(arguments))
    }
}

/// Runs a command line, split at blanks, with more arguments.
///
/// # Errors
/// It cannot be started, fails, or prints no JSON object.
pub fn peer<S: AsRef<OsStr>>(line: &str, arguments: &[S]) -> Result<Value> {
    let mut words = line.split_whitespace();
    let program = words
        .next()
        .context("the command to compare with is empty")?;
    report(Command::new(program).args(words).args(arguments))
}

/// The last line of JSON that a program prints.
fn report(command: &mut Command) -> Result<Value> {
    let words = format!("{command:?}");
    let output = command
        .current_dir(workspace())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {words}"))?;
    ensure!(output.status.success(), "{words}: {}", output.status);
    last_object(&String::from_utf8_lossy(&output.stdout))
        .with_context(|| format!("{words} printed no JSON object"))
}

fn last_object(output: &str) -> Option<Value> {
    let objects = output.lines().rev().map(serde_json::from_str::<Value>);
    objects.flatten().find(Value::is_object)
}

/// The numbers of a list in a report.
///
/// # Errors
/// There is no such list.
pub fn numbers(report: &Value, name: &str) -> Result<Vec<f64>> {
    let list = report[name].as_array().with_context(|| missing(name))?;
    let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
    numbers.with_context(|| missing(name))
}

/// One number of a report.
///
/// # Errors
/// There is none of this name.
pub fn number(report: &Value, name: &str) -> Result<f64> {
    report[name].as_f64().with_context(|| missing(name))
}

fn missing(name: &str) -> String {
    format!("the report has no numbers called {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_object() {
        let report = last_object("warming up\n{\"a\": 1}\n{\"a\": 2, \"b\": [1, 2.5]}\n7\n");
        let report = report.expect("an object");
        assert_eq!(number(&report, "a").expect("a"), 2.0);
        assert_eq!(numbers(&report, "b").expect("b"), [1.0, 2.5]);
        assert!(numbers(&report, "a").is_err() && number(&report, "c").is_err());
        assert_eq!(last_object("nothing"), None);
    }
}
