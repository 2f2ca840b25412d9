//! `cargo xtask bench`: measures, compares with other programs in alternation, holds the results against their
//! targets, and writes the page of the book that shows them.

mod check;
mod families;
mod forward;
mod generate;
mod machine;
mod memory;
mod noise;
mod page;
mod probes;
mod program;
mod ranks;
mod record;
mod spread;
mod step;
mod targets;

use crate::workspace::{cargo, workspace};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use program::Programs;
use record::{Record, Results};
use std::path::PathBuf;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    /// Passes over the weights against the copy bandwidth, and against PyTorch with --peer-python
    Noise,
    /// Forward passes against the rate of the matrix library
    Forward,
    /// Forward passes of Llama's shapes, against transformers with --peer-python
    Families,
    /// Whole steps, against --peer
    Step,
    /// Probes of an adapter, together and one by one
    Probes,
    /// Continuing prompts, against transformers with --peer-python
    Generate,
    /// Peak memory of whole training runs
    Memory,
    /// The seven above
    All,
    /// Steps on 1 to 4 ranks under mpirun, and a model of steps on up to 1,024
    Ranks,
    /// Counts and ratios against benches/thresholds.toml: a regression check
    Check,
    /// The criterion benches
    Criterion,
}

/// What to measure, against what, and what to do with the results.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    topic: Topic,
    /// Print the results as JSON instead of text
    #[arg(long)]
    json: bool,
    /// With step: a program to alternate with. It is given --model-config, --threads, --dtype, --method, --pool,
    /// --warmup, --steps and --batch with --seq or --batches, and prints JSON with `step_s_median`
    #[arg(long, value_name = "COMMAND")]
    peer: Option<String>,
    /// With noise, families and generate: a Python with torch, and with the last two transformers, to alternate with
    /// docs/src/scripts/normal_add.py, forward.py and generate.py
    #[arg(long, value_name = "PYTHON")]
    peer_python: Option<String>,
    /// With step, forward, families and probes: a JSON file with real batches, besides the dense ones
    #[arg(long, value_name = "FILE")]
    batches: Option<PathBuf>,
    /// How often each program is run, in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Threads of every program
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Only measurements whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write docs/src/benchmarks.md from the results so far (kept in target/bench)
    #[arg(long)]
    write: bool,
    /// With criterion: its arguments, after `--`
    #[arg(last = true)]
    rest: Vec<String>,
}

impl Arguments {
    /// Whether the measurement of this name was asked for.
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|text| name.contains(text))
    }
}

/// Measures what was asked for.
///
/// # Errors
///
/// A program that does not build, start or answer, or a check that failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "--rounds 0: use at least 1");
    ensure!(arguments.threads > 0, "--threads 0: use at least 1");
    if arguments.topic == Topic::Criterion {
        return criterion(&arguments.rest);
    }
    if arguments.topic == Topic::Ranks {
        return ranks::run(arguments);
    }
    let programs = Programs::build()?;
    if arguments.topic == Topic::Check {
        return check::run(&programs, arguments);
    }
    let mut results = Results::load()?;
    let topics: [(Topic, Measurement); 7] = [
        (Topic::Noise, noise::measure),
        (Topic::Forward, forward::measure),
        (Topic::Families, families::measure),
        (Topic::Step, step::measure),
        (Topic::Probes, probes::measure),
        (Topic::Generate, generate::measure),
        (Topic::Memory, memory::measure),
    ];
    let mut records = Vec::new();
    for (topic, measure) in topics {
        if arguments.topic == topic || arguments.topic == Topic::All {
            measure(&programs, arguments, &mut |record: Record| {
                // kept as they come: a run of an hour may be interrupted
                results.keep(record.clone())?;
                records.push(record);
                Ok(())
            })?;
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&records)?);
    } else {
        records.iter().for_each(Record::print);
        print!("{}", targets::table(&results));
    }
    if arguments.write {
        let path = workspace().join("docs/src/benchmarks.md");
        std::fs::write(&path, page::page(&results)).with_context(|| path.display().to_string())?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// Hands over each record as soon as it is measured.
type Sink<'a> = dyn FnMut(Record) -> Result<()> + 'a;
type Measurement = fn(&Programs, &Arguments, &mut Sink<'_>) -> Result<()>;

fn criterion(rest: &[String]) -> Result<()> {
    let mut command = cargo(&["bench", "--workspace"]);
    // the harness of ordinary tests does not know criterion's arguments
    command.args(["--bench", "noise", "--bench", "forward", "--bench", "step"]);
    if !rest.is_empty() {
        command.arg("--").args(rest);
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the benchmarks failed ({status})");
    Ok(())
}
