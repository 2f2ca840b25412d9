//! The `zograd` command: fine-tunes language models with forward passes only.
//!
//! Flags and files come in here, progress and reports go out; the algorithms live in the libraries.
//! Exit codes: 0 done, 1 something failed while running, a guard stopped a run or it blew up, 2 the input is wrong
//! (nothing was written),
//! 130 interrupted by Ctrl-C, 143 by SIGTERM (what was reached is saved).

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod args;
mod charts;
mod closed;
mod commands;
mod console;
mod csv;
mod failure;
mod output;
mod plot;
mod points;
mod progress;
mod signals;
mod table;
mod telling;
mod threads;
mod together;

use args::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    zograd_trainer::keep_freed_memory();
    let world = match together::begin() {
        Ok(world) => world,
        Err(code) => return code,
    };
    let ranks = together::ranks(world.as_ref());
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(answer) => {
            ranks.fail("its command line is wrong");
            return failure::report_usage(&answer);
        }
    };
    if let Err(error) = telling::begin() {
        ranks.fail(&error.to_string());
        return failure::report(&error.into());
    }
    let outcome = match cli.command {
        Command::Train(args) => commands::train::run(&args, &ranks),
        Command::Eval(args) => commands::eval::run(&args, &ranks),
        Command::Predict(args) => commands::predict::run(&args, &ranks),
        Command::Sweep(args) => commands::sweep::run(&args, &ranks),
        Command::Compare(args) => commands::compare::run(&args, &ranks),
        _ if !ranks.is_alone() => Err(together::refused()),
        Command::Align(args) => commands::align::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Presets(args) => commands::presets::run(&args),
        Command::Data(args) => commands::data::run(&args),
        Command::Generate(args) => commands::generate::run(&args),
        Command::Replay(args) => commands::replay::run(&args),
        Command::Export(args) => commands::export::run(&args),
        Command::Merge(args) => commands::merge::run(&args),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Log(command) => commands::log::run(command),
        Command::Prompts(args) => commands::prompts::run(&args),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::Man(args) => commands::man::run(&args),
        Command::Completions(args) => commands::completions::run(args),
    };
    signals::wait_if_ending();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // unless they know
            ranks.fail(&error.to_string());
            failure::report(&error)
        }
    }
}
