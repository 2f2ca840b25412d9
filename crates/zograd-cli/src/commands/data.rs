//! `zograd data`: what is understood of rows.

use crate::args::{DataArgs, as_flags};
use crate::console::Console;
use crate::output::answer;
use crate::table::Table;
use anyhow::Result;
use std::process::ExitCode;
use zograd_runs::words::{count, these};
use zograd_runs::{ChatCounts, DataReport, Lengths, Runs, SplitReport};

/// How many classes are listed.
const MAX_LABELS: usize = 20;

/// Shows what is understood of rows.
///
/// # Errors
/// Rows that cannot be read, or the output is closed.
pub fn run(args: &DataArgs) -> Result<ExitCode> {
    let report = Runs::new().inspect(args.given()?, &mut Console::default())?;
    if args.flags.json {
        answer(serde_json::to_string(&report)?)?;
    } else {
        print(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(report: &DataReport) -> std::io::Result<()> {
    let separator = match report.separator {
        Some('\t') => ", tabs between the cells".into(),
        Some(separator) => format!(", {separator:?} between the cells"),
        None => String::new(),
    };
    answer(format_args!(
        "{}: {}{separator}",
        report.data, report.format
    ))?;
    if let Some(shares) = &report.shares {
        answer(format_args!(
            "divided {shares}, by what the rows say ({})",
            as_flags("`split`")
        ))?;
    }
    if let Some(why) = &report.undivided {
        answer(format_args!(
            "not enough to train on and to test on: {} ({})",
            as_flags(why),
            as_flags("`split`")
        ))?;
    }
    let mut fields = Table::new(["field", "holds", "such as", "blank"]).left(3);
    for field in &report.fields {
        fields.push(vec![
            field.name.clone(),
            field.kind.clone(),
            field.example.clone(),
            field.blank.to_string(),
        ]);
    }
    answer(fields.text())?;
    answer("")?;
    let mut splits = Table::new(["split", "rows", "duplicates", "unreadable", "tokens", "cut"]);
    for split in &report.splits {
        splits.push(line(split));
    }
    answer(splits.without_empty_columns().text())?;
    for split in &report.splits {
        if let Some(chats) = split.chats.as_ref().filter(|chats| chats.chats > 0) {
            answer(chats_in_words(split, chats))?;
        }
    }
    labels(report)?;
    for shared in &report.shared {
        let [a, b] = shared.splits;
        answer(format_args!(
            "{} in the {a} split and in the {b} split: scores on {b} will be too good",
            these(shared.texts, "text", ["is", "are"])
        ))?;
    }
    if report.contradictions > 0 {
        answer(format_args!(
            "{} different labels in different rows",
            these(report.contradictions, "text", ["has", "have"])
        ))?;
    }
    for problem in &report.problems {
        answer(format_args!("unreadable: {problem}"))?;
    }
    for problem in &report.refused {
        answer(format_args!("refused to train on: {problem}"))?;
    }
    for split in &report.splits {
        if let Some(tried) = split.tried.filter(|tried| *tried > 0) {
            answer(format_args!(
                "{}: {tried} of {} tried, and no prompt could be made, always for the same reason: no other row was tried",
                split.split,
                these(split.rows, "row", ["was", "were"])
            ))?;
        }
    }
    match (&report.prompt, report.max_length) {
        (Some(prompt), length) => {
            if length.is_none() {
                answer(as_flags("(`model` or `tokenizer` adds lengths in tokens)"))?;
            }
            answer(format_args!(
                "the first prompt, with what is right:\n{prompt}"
            ))
        }
        (None, _) if report.task.is_some() => Ok(()),
        (None, _) => answer(as_flags(
            "say which column is what for more: `text` and `label`, or `prompt` and `answer`",
        )),
    }
}

fn line(split: &SplitReport) -> Vec<String> {
    let lengths =
        |l: Lengths| format!("{} to {}, median {}, 95% {}", l.min, l.max, l.median, l.p95);
    let some = |n: usize| if n == 0 { "-".into() } else { n.to_string() };
    vec![
        split.split.to_string(),
        split.rows.to_string(),
        some(split.duplicates),
        some(split.unreadable),
        split.tokens.map_or("-".into(), lengths),
        some(split.tokens.map_or(0, |l| l.cut)),
    ]
}

/// What there is in the chats of a split, in a line.
fn chats_in_words(split: &SplitReport, chats: &ChatCounts) -> String {
    let mut line = format!(
        "{}: {}, {}, {} of them the assistant's",
        split.split,
        count(chats.chats, "chat"),
        count(chats.turns, "turn"),
        chats.answers
    );
    if chats.scored > 0 {
        line.push_str(&format!(
            "; {} the assistant's and {} in the loss",
            these(chats.scored, "token", ["is", "are"]),
            if chats.scored == 1 { "counts" } else { "count" }
        ));
    }
    if chats.refused > 0 {
        line.push_str(&format!(
            "; {} no answer at the end, and no run takes such rows",
            these(chats.refused, "chat", ["has", "have"])
        ));
    }
    if chats.left_out > 0 {
        line.push_str(&format!(
            "; {} in none, as the chat template writes earlier turns otherwise once the chat has gone on",
            these(chats.left_out, "earlier turn", ["counts", "count"])
        ));
    }
    line
}

/// How many rows each split has of each class.
fn labels(report: &DataReport) -> std::io::Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for split in &report.splits {
        for (name, _) in &split.labels {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let heads = report.splits.iter().map(|split| split.split.to_string());
    let mut table = Table::new(std::iter::once("label".to_owned()).chain(heads));
    for name in names.iter().take(MAX_LABELS) {
        let count = |split: &SplitReport| {
            let found = split.labels.iter().find(|(label, _)| label == name);
            let (rows, all) = (found.map_or(0, |(_, rows)| *rows), split.rows.max(1));
            format!("{rows} ({:.0}%)", 100.0 * rows as f64 / all as f64)
        };
        let shown = if name.is_empty() {
            "(says nothing)"
        } else {
            name
        };
        let counts = report.splits.iter().map(count);
        table.push(std::iter::once(shown.to_owned()).chain(counts).collect());
    }
    answer("")?;
    answer(table.text())?;
    if names.len() > MAX_LABELS {
        answer(format_args!("and {} more", names.len() - MAX_LABELS))?;
    }
    answer("")
}
