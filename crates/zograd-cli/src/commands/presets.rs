//! `zograd presets`: the settings that have a name.

use crate::args::PresetsArgs;
use crate::output::{answer, say};
use crate::table::Table;
use anyhow::Result;
use serde::Serialize;
use std::process::ExitCode;
use zograd_runs::words::value;
use zograd_runs::{Paper, Preset};

/// Lists presets.
///
/// # Errors
/// Nobody to write to.
pub fn run(args: &PresetsArgs) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Entry<'a> {
        name: &'a str,
        train: &'a toml::Table,
        paper: &'a Paper,
    }
    let presets = Preset::all(&args.filter)?;
    if args.json {
        let entries: Vec<Entry<'_>> = presets
            .iter()
            .map(|preset| Entry {
                name: preset.name,
                train: &preset.train,
                paper: &preset.paper,
            })
            .collect();
        answer(serde_json::to_string(&entries)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if presets.is_empty() {
        say(format_args!("no preset's name contains {}", args.filter));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        "preset",
        "steps",
        "lr",
        "eps",
        "paper %",
        "zero-shot %",
        "metric",
    ]);
    for preset in &presets {
        let setting = |key: &str| preset.train.get(key).map_or("-".into(), value);
        table.push(vec![
            preset.name.into(),
            setting("steps"),
            setting("lr"),
            setting("eps"),
            format!("{:.1}", preset.paper.percent),
            format!("{:.1}", preset.paper.zero_shot_percent),
            preset.paper.metric.clone(),
        ]);
    }
    answer(table.text())?;
    Ok(ExitCode::SUCCESS)
}
