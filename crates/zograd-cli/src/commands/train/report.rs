//! What a run says of itself: before, and at the end.

use super::procedure::Procedure;
use super::settings::Settings;
use crate::commands::eval::scores;
use crate::inputs::Sources;
use crate::output::{answer, say};
use crate::presets::Published;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use zograd_tasks::SplitCounts;
use zograd_tasks::metrics::Metric;
use zograd_trainer::{EvalRecord, Evaluation, Event, StopReason};

/// What `summary.json` and `--json` say.
#[derive(Serialize)]
pub struct Report {
    pub model: String,
    pub task: String,
    pub method: String,
    /// `full`, `lora`, `prefix` or `head`.
    pub tune: String,
    pub backend: String,
    pub dtype: String,
    pub parameters: u64,
    pub counts: SplitCounts,
    pub objective: String,
    pub metric: Metric,
    #[serde(skip)]
    pub score_before: f64,
    #[serde(skip)]
    pub score_after: f64,
    /// These scores by the names of their metrics: `accuracy_before`, `accuracy_after`,
    /// `best_dev_accuracy` and the like.
    #[serde(flatten)]
    pub scores: Map<String, Value>,
    pub loss_before: f64,
    pub loss_after: f64,
    pub best_step: Option<u64>,
    #[serde(skip)]
    pub best_dev_score: Option<f64>,
    pub steps: u64,
    pub forwards: u64,
    pub passes: u64,
    pub tokens: u64,
    pub skipped: u64,
    pub flat: u64,
    pub events: BTreeMap<Event, u64>,
    pub truncated: usize,
    pub seconds: f64,
    pub peak_memory_bytes: Option<u64>,
    pub weight_bytes: u64,
    pub stop: StopReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<Published>,
    pub run: PathBuf,
}

/// What the metrics were on the test examples before and after, and on the development examples at best.
pub fn named_scores(
    before: &Evaluation,
    after: &Evaluation,
    best: Option<&EvalRecord>,
) -> Map<String, Value> {
    let mut named = scores(before, "_before");
    named.extend(scores(after, "_after"));
    let best = best.map(|record| record.dev_score.value());
    named.insert(format!("best_dev_{}", after.metric.key()), best.into());
    named
}

pub fn announce(settings: &Settings, sources: &Sources, counts: &SplitCounts) {
    let c = &settings.config;
    let steps = format_args!(
        ", {} steps on {}, lr {:e}",
        c.steps,
        kebab(&settings.resolved.objective),
        c.lr
    );
    let how = match &settings.procedure {
        Procedure::ZerothOrder(zo) => format!("{steps}, eps {:e}", zo.eps),
        Procedure::Gradient(_) => steps.to_string(),
        Procedure::Probe => String::new(),
    };
    say(format_args!(
        "{} on {}: {}{how}, batch {}; {} train, {} dev, {} test examples",
        sources.model_name,
        sources.task_name,
        settings.method_name,
        c.batch_size,
        counts.train.got,
        counts.dev.got,
        counts.test.got,
    ));
    for (kind, count) in counts.short() {
        say(format_args!(
            "note: asked for {} {kind} examples, the data has {}",
            count.asked, count.got
        ));
    }
}

/// Prints what a person wants to know of a run.
pub fn print_report(r: &Report) -> std::io::Result<()> {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    answer(format_args!(
        "{:<14} {:.4} -> {:.4}",
        format!("test {}", r.metric),
        r.score_before,
        r.score_after
    ))?;
    if let Some(paper) = &r.paper {
        answer(format_args!(
            "paper          {}",
            paper.beside(r.score_after)
        ))?;
    }
    answer(format_args!(
        "test loss      {:.4} -> {:.4}",
        r.loss_before, r.loss_after
    ))?;
    answer(format_args!(
        "method         {}, {} steps, {} forward passes, {}",
        r.method,
        r.steps,
        r.forwards,
        match r.method.starts_with("adam") {
            true => "a backward pass counted as two",
            false => "no backward pass",
        }
    ))?;
    if r.tune == "head" {
        answer(format_args!(
            "tuned          the head, {} numbers; the other weights are as they were",
            r.parameters
        ))?;
    } else if r.tune != "full" {
        answer(format_args!(
            "tuned          {}, {} numbers; the weights are as they were",
            r.tune, r.parameters
        ))?;
    }
    if let (Some(step), Some(score)) = (r.best_step, r.best_dev_score) {
        answer(format_args!(
            "best weights   step {step}, development {} {score:.4}",
            r.metric
        ))?;
    }
    for (event, count) in &r.events {
        answer(format_args!(
            "{:<14} {count} steps; {}",
            event.name(),
            event.advice()
        ))?;
    }
    if r.skipped > 0 {
        answer(format_args!("skipped        {} updates", r.skipped))?;
    }
    answer(format_args!(
        "time           {:.1} s of training",
        r.seconds
    ))?;
    if let Some(peak) = r.peak_memory_bytes {
        answer(format_args!(
            "memory         {:.0} MiB at most, weights {:.1} MiB",
            mib(peak),
            mib(r.weight_bytes)
        ))?;
    }
    answer(format_args!("run            {}", r.run.display()))
}

/// An enum's name as a flag's value.
pub fn kebab(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|v| v.as_str().map(String::from))
        .unwrap_or_default()
}
