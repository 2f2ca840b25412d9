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
    /// Run the benchmarks, or time whole steps against another program.
    Bench {
        /// What to measure.
        #[arg(value_enum, default_value = "all")]
        topic: bench::Topic,
        /// Time `zo_step` against this command in alternation; it prints JSON with `step_s_median`.
        #[arg(long, value_name = "COMMAND")]
        peer: Option<String>,
        /// With --peer: how often each program is run.
        #[arg(long, default_value_t = 3, requires = "peer")]
        rounds: usize,
        /// With --peer: print JSON.
        #[arg(long, requires = "peer")]
        json: bool,
        /// Arguments for criterion, or for `zo_step` with --peer, after `--`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
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
        Task::Bench {
            peer: Some(peer),
            rounds,
            json,
            rest,
            ..
        } => bench::Comparison {
            peer: &peer,
            ours: &rest,
            rounds,
            json,
        }
        .run(),
        Task::Bench { topic, rest, .. } => bench::run(topic, &rest),
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
