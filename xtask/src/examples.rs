//! The check "examples": every `examples/*.rs` of every package runs, and ends in time.

use crate::workspace::{cargo, metadata, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An example is to be read and tried, not to be waited for.
const LIMIT: Duration = Duration::from_secs(120);

/// How often an example is asked whether it has ended.
const INTERVAL: Duration = Duration::from_millis(50);

/// Builds all examples and runs those that need no feature beyond the default ones.
///
/// # Errors
/// One does not build, fails, or runs for longer than two minutes.
pub fn run() -> Result<()> {
    // with the features of the whole workspace, as the tests have built them
    let build = ["build", "--release", "--workspace", "--examples"];
    let status = cargo(&build).status().context("cannot start cargo")?;
    ensure!(status.success(), "the examples do not build ({status})");
    let metadata = metadata()?;
    let folder = metadata.target_directory.join("release/examples");
    let targets = metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets);
    let examples = targets.filter(|target| {
        target.kind.iter().any(|kind| kind == "example") && target.required_features.is_empty()
    });
    let mut count = 0;
    for example in examples {
        let mut program = Command::new(folder.join(&example.name));
        let seconds = run_one(program.current_dir(workspace()), LIMIT)
            .with_context(|| format!("example {}", example.name))?;
        println!("example {}: {seconds:.1} s", example.name);
        count += 1;
    }
    println!("{count} examples ran");
    Ok(())
}

/// Runs a program without input, and tells how long it took.
fn run_one(program: &mut Command, limit: Duration) -> Result<f64> {
    let start = Instant::now();
    let child = program.stdin(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("cannot start {program:?}"))?;
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "it ended with {status}");
            return Ok(start.elapsed().as_secs_f64());
        }
        std::thread::sleep(INTERVAL);
    }
    child.kill()?;
    child.wait()?;
    bail!("it runs for longer than {} s", limit.as_secs())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn tells_success_failure_and_endlessness_apart() {
        assert!(run_one(&mut Command::new("true"), LIMIT).is_ok());
        let failed = run_one(&mut Command::new("false"), LIMIT).expect_err("it fails");
        assert!(failed.to_string().starts_with("it ended with"), "{failed}");
        let start = Instant::now();
        let late = run_one(Command::new("sleep").arg("60"), Duration::from_millis(100));
        let late = late.expect_err("it is too slow");
        assert!(late.to_string().starts_with("it runs for"), "{late}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
