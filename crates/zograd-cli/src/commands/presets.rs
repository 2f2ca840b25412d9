//! `zograd presets`: the settings that have a name.

use crate::args::{PresetsArgs, as_flags};
use crate::output::{answer, say};
use crate::table::Table;
use anyhow::Result;
use serde::Serialize;
use std::process::ExitCode;
use zograd_runs::words::value;
use zograd_runs::{Cost, Paper, Preset, Start};
use zograd_select::Methods;

/// Lists presets.
///
/// # Errors
/// Nobody to write to.
pub fn run(args: &PresetsArgs) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Entry<'a> {
        name: &'a str,
        train: &'a toml::Table,
        #[serde(skip_serializing_if = "Option::is_none")]
        paper: Option<&'a Paper>,
        #[serde(skip_serializing_if = "Option::is_none")]
        start: Option<&'a Start>,
        cost: Cost,
    }
    let presets = Preset::all(&args.filter)?;
    let methods = Methods::built_in();
    let costs = presets.iter().map(|preset| preset.cost(&methods));
    let costs: Vec<Cost> = costs.collect::<zograd_runs::Result<_>>()?;
    if args.json {
        let entries: Vec<Entry<'_>> = presets
            .iter()
            .zip(&costs)
            .map(|(preset, cost)| Entry {
                name: preset.name,
                train: &preset.train,
                paper: preset.paper.as_ref(),
                start: preset.start.as_ref(),
                cost: *cost,
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
        "forwards",
        "examples",
        "weights GB",
        "paper %",
        "zero-shot %",
        "metric",
    ]);
    for (preset, cost) in presets.iter().zip(&costs) {
        let setting = |key: &str| preset.train.get(key).map_or("-".into(), value);
        table.push(vec![
            preset.name.into(),
            setting("steps"),
            setting("lr"),
            setting("eps"),
            cost.forwards.to_string(),
            cost.examples.to_string(),
            cost.weight_bytes
                .map_or("-".into(), |bytes| format!("{:.1}", bytes as f64 / 1e9)),
            of_paper(preset, |paper| format!("{:.1}", paper.percent)),
            of_paper(preset, |paper| format!("{:.1}", paper.zero_shot_percent)),
            of_paper(preset, |paper| paper.metric.clone()),
        ]);
    }
    answer(table.text())?;
    let half =
        |preset: &Preset| preset.train.get("dtype").and_then(toml::Value::as_str) == Some("f16");
    if presets.iter().any(half) {
        say(as_flags(
            "note: forwards and examples are those of training. The weights are f16, as the paper's: twice as large in \
             f32, but on a CPU f32 is faster, `backend = ndarray` and `dtype = f32`.",
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the paper says of a preset, or a dash.
fn of_paper(preset: &Preset, cell: impl Fn(&Paper) -> String) -> String {
    preset.paper.as_ref().map_or("-".into(), cell)
}
