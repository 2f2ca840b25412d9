//! `zograd align`: what the estimates of methods are worth beside the gradient.

use crate::args::{AlignArgs, UNUSED};
use crate::console::Console;
use crate::output::answer;
use crate::signals::Stop;
use crate::table::Table;
use crate::threads::{asked_threads, set_threads};
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::experiment::{Lists, SweepPlan};
use zograd_runs::words::count;
use zograd_runs::{AlignReport, MethodKind, RunError, Runs};

/// The methods where none is named.
const METHODS: [&str; 4] = ["mezo", "gv", "greedy", "pool-regression"];

/// Parts of the model that are shown: the first of them by their share of the gradient.
const BLOCKS: usize = 8;

/// Takes the gradient, and holds estimates against it.
///
/// # Errors
/// Wrong input, or something that failed while running.
pub fn run(args: &AlignArgs) -> Result<ExitCode> {
    let stop = Stop::on_signal()?;
    let runs = Runs::new().stopped_by(stop.asked.clone());
    let train = &args.sweep.train;
    if train.resumed()?.is_some() {
        return Err(
            RunError::input("`resume`: an alignment is not resumed; it takes minutes").into(),
        );
    }
    refuse_unused(args)?;
    let (lists, mut given) = args.sweep.with_file()?;
    // a flag is refused, but a preset or the file of a run may have what goes with training alone
    for key in ["calibrate", "balanced"] {
        let is_flag = train.given.get(key).is_some();
        let has_others = given.get("preset").is_some() || given.get(key).is_some();
        if has_others && !is_flag {
            given = given.with(key, false);
        }
    }
    set_threads(asked_threads(&given))?;
    let mut usual = Lists::default();
    // a file of one run names its method as a value
    if given.get("preset").is_none() && given.get("method").is_none() {
        usual.method = METHODS.map(String::from).into();
    }
    let lists = lists.or(usual);
    refuse_several(&lists)?;
    let plan = SweepPlan::new(lists, given, runs.methods())?;
    let mut console = Console::default().raising(stop.saves.clone());
    match runs.align(&plan, args.draws, &mut console) {
        Ok(report) if train.json => answer(serde_json::to_string(&report)?)?,
        Ok(report) => print(&report)?,
        Err(RunError::Stopped(_)) => return Ok(stop.exit_code()),
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses flags of what trains; a file of settings may be that of a run.
fn refuse_unused(args: &AlignArgs) -> Result<()> {
    let given = &args.sweep.train.given;
    let unused = UNUSED.into_iter().find(|key| given.get(key).is_some());
    let unused = unused.or((!args.sweep.lists.lr.is_empty()).then_some("lr"));
    match unused {
        Some(key) => Err(RunError::input(format!(
            "`{key}`: an alignment makes no step and writes nothing; leave it out"
        ))
        .into()),
        None => Ok(()),
    }
}

/// Refuses lists of what an alignment has one of, and methods that have the gradient themselves.
fn refuse_several(lists: &Lists) -> Result<()> {
    let words = if let [first, second, ..] = lists.seed[..] {
        format!("`seed = {first},{second}`: an alignment has one seed; call it once for each")
    } else if let [first, second, ..] = lists.eps[..] {
        format!("`eps = {first:e},{second:e}`: an alignment has one eps; call it once for each")
    } else if let Some(name) = lists.method.iter().find(|name| has_gradient(name)) {
        format!(
            "`method = {name}`: it has the gradient and estimates none; name zeroth-order methods"
        )
    } else {
        return Ok(());
    };
    Err(RunError::input(words).into())
}

fn has_gradient(method: &str) -> bool {
    MethodKind::of(method) != MethodKind::ZerothOrder
}

fn print(report: &AlignReport) -> Result<()> {
    let noise = report.gradient_noise.map_or_else(String::new, |noise| {
        format!("; noise of a batch of {}: {noise:.3}", report.batch_size)
    });
    answer(format_args!(
        "{} on {}: loss {:.4} on {}, length of its gradient {:.4} by {} numbers{noise}",
        report.model,
        report.task,
        report.loss,
        count(report.rows, "row"),
        report.gradient_norm,
        report.parameters
    ))?;
    let mut blocks: Vec<_> = report.blocks.iter().collect();
    blocks.sort_by(|a, b| b.share.total_cmp(&a.share));
    let mut table = Table::new(["part", "numbers", "share of |g|^2"]);
    for block in blocks.into_iter().take(BLOCKS) {
        table.push(vec![
            block.name.clone(),
            block.parameters.to_string(),
            format!("{:.3}", block.share),
        ]);
    }
    answer(table.text())?;
    let heads = [
        "method",
        "forwards",
        "cosine",
        "standard error",
        "times one direction's",
        "gain",
        "gain a forward",
    ];
    let mut table = Table::new(heads);
    for method in &report.methods {
        table.push(vec![
            method.method.clone(),
            method.forwards.to_string(),
            format!("{:.2e}", method.cosine),
            format!("{:.1e}", method.cosine_error),
            format!("{:.2}", method.cosine / method.cosine_of_one_direction),
            format!("{:.2e}", method.gain),
            format!("{:.2e}", method.gain_per_forward),
        ]);
    }
    answer(table.text())?;
    Ok(())
}
