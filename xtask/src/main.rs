//! Development commands of zograd, run as `cargo xtask <command>`.
//!
//! What a developer repeats lives here as code instead of shell lore: the checks of the CI, the
//! benchmarks, and the steps of a release.

mod bench;
mod ci;
#[cfg(test)]
mod dependencies;
mod examples;
#[cfg(test)]
mod guards;
mod house;
mod licences;
mod long_run;
mod msrv;
mod package;
#[cfg(test)]
mod shared_build;
mod workspace;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Development commands of zograd")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run all checks, the cheapest first; stop at the first that fails.
    Ci,
    /// Check the licences of all dependencies against deny.toml.
    Licences,
    /// Check that what would be published is complete.
    Package {
        /// Compile each package from what is in it: for a release, because it compiles all dependencies once more.
        #[arg(long)]
        verify: bool,
    },
    /// Check that the oldest promised Rust compiles the workspace, if it is installed.
    Msrv,
    /// Print the size of each package, and the files that import each other in a circle.
    House,
    /// Measure, compare with other programs, and hold the results against their targets.
    Bench(bench::Arguments),
    /// Train the built-in model for many steps, and fail if memory or step time grow or the log is too large.
    LongRun {
        /// Number of steps.
        #[arg(long, default_value_t = 20_000)]
        steps: u64,
    },
    /// Make the embedded model and task anew: `cargo run --release -p zograd-embed --` with the same arguments.
    #[command(disable_help_flag = true)]
    Embed {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Task::Ci => ci::run(),
        Task::Licences => licences::run(),
        Task::Package { verify } => package::run(verify),
        Task::Msrv => msrv::run(),
        Task::House => house::run(),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::LongRun { steps } => long_run::run(steps),
        Task::Embed { arguments } => embed(&arguments),
    }
}

/// The maker is a program of its own, because it links burn.
fn embed(arguments: &[String]) -> Result<()> {
    let mut command = workspace::cargo(&["run", "--release", "--package", "zograd-embed", "--"]);
    let status = command.args(arguments).status()?;
    ensure!(status.success(), "zograd-embed ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
