//! Development commands of zograd, run as `cargo xtask <command>`.
//!
//! What a developer repeats lives here as code instead of shell lore: the checks of the CI, the
//! benchmarks, and the making of the files that ship inside `zograd-embedded`.

mod bench;
mod ci;
mod embed;
mod long_run;

use anyhow::Result;
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
    /// Measure, compare with other programs, and hold the results against their targets.
    Bench(bench::Arguments),
    /// Train the built-in model for many steps, and fail if memory or step time grow or the log is too large.
    LongRun {
        /// Number of steps.
        #[arg(long, default_value_t = 20_000)]
        steps: u64,
    },
    /// Make the embedded model and task anew.
    Embed(embed::Arguments),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Task::Ci => ci::run(),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::LongRun { steps } => long_run::run(steps),
        Task::Embed(arguments) => embed::run(&arguments),
    }
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
