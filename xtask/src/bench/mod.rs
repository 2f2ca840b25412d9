//! `cargo xtask bench`: the criterion benchmarks, all or one topic, and steps against another program.

mod peer;

use crate::ci::cargo;
use anyhow::{Context, Result, ensure};
pub use peer::Comparison;

/// What is measured; each is a file of `benches/benches`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Topic {
    /// Noise and in-place passes over the weights.
    Noise,
    /// Forward passes of OPT.
    Forward,
    /// Whole training steps.
    Step,
    /// All of them.
    All,
}

impl Topic {
    fn arguments(self) -> Vec<&'static str> {
        let mut arguments = vec!["bench", "--package", "zograd-benches"];
        match self {
            Self::Noise => arguments.extend(["--bench", "noise"]),
            Self::Forward => arguments.extend(["--bench", "forward"]),
            Self::Step => arguments.extend(["--bench", "step"]),
            Self::All => {}
        }
        arguments
    }
}

/// Runs the benchmarks of `topic`; `rest` goes to criterion (a filter, `--save-baseline NAME`, ...).
///
/// # Errors
///
/// Cargo cannot be started, or a benchmark fails.
pub fn run(topic: Topic, rest: &[String]) -> Result<()> {
    let mut command = cargo(&topic.arguments());
    if !rest.is_empty() {
        command.arg("--").args(rest);
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the benchmarks failed ({status})");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_selects_its_file_and_all_selects_none() {
        assert!(Topic::Step.arguments().ends_with(&["--bench", "step"]));
        assert!(!Topic::All.arguments().contains(&"--bench"));
    }
}
