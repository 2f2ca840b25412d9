//! The page: one file that needs no other, to be read in light and dark, wide and narrow.

use super::results::{self, Row};
use super::style;
use super::waits;
use crate::charts::{self, Place, Quantity, palette};
use anyhow::Result;
use std::fmt::Write;
use zograd_runs::Summary;
use zograd_runs::experiment::{Axis, Group, shared, smooth};
use zograd_runs::folder::{Environment, RunRecord};

/// The page of these runs, with their curves along these axes.
///
/// # Errors
/// A chart that cannot be drawn.
pub fn page(
    runs: &[RunRecord],
    groups: &[Group<'_>],
    rows: &[Row],
    axes: &[Axis],
    notes: &[String],
) -> Result<String> {
    let title = title(groups);
    let mut html = String::new();
    html.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    push(
        &mut html,
        format_args!("<title>{}</title>\n", escape(&title)),
    );
    push(
        &mut html,
        format_args!(
            "<style>{}</style>\n</head>\n<body>\n<main>\n",
            style::sheet()
        ),
    );
    push(&mut html, format_args!("<h1>{}</h1>\n", escape(&title)));
    push(
        &mut html,
        format_args!(
            "<p class=\"soft\">{}</p>\n",
            escape(&overview(runs, groups))
        ),
    );
    html.push_str("<h2 id=\"results\">Results</h2>\n");
    table(&mut html, "results", results::table(rows).rows());
    html.push_str("<p class=\"soft\">");
    html.push_str(if groups.iter().any(|group| group.runs.len() > 1) {
        "Mean ± standard deviation over runs that differ only in the seed. "
    } else {
        ""
    });
    html.push_str("Test: the weights that did best on the development examples. Forward passes and seconds are those of training, without evaluation.</p>\n");
    for note in notes {
        let note = format_args!("<p class=\"soft\">{}</p>\n", escape(note));
        push(&mut html, note);
    }
    curves(&mut html, groups, axes)?;
    each_run(&mut html, groups);
    ranks(&mut html, runs);
    html.push_str("<div class=\"columns\">\n");
    settings(&mut html, runs, groups);
    environments(&mut html, runs);
    html.push_str("</div>\n");
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(html)
}

/// Appends formatted text, which cannot fail for a string.
fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = html.write_fmt(text);
}

/// Text that means itself in HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn title(groups: &[Group<'_>]) -> String {
    let same = |what: &str, word: fn(&Group<'_>) -> String| {
        let first = groups.first().map(word).unwrap_or_default();
        match groups.iter().all(|group| word(group) == first) {
            true => first,
            false => format!("several {what}s"),
        }
    };
    let model = same("model", |group| group.model.clone());
    format!("{model} on {}", same("task", |group| group.task.clone()))
}

fn overview(runs: &[RunRecord], groups: &[Group<'_>]) -> String {
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let mut text = format!(
        "{} in {}",
        plural(runs.len(), "run"),
        plural(groups.len(), "setting")
    );
    let unfinished = runs.iter().filter(|run| !run.finished()).count();
    if unfinished > 0 {
        let _ = write!(text, ", {unfinished} of them unfinished");
    }
    text + "."
}

/// A table that scrolls on its own where the page is narrow; `name` is one word.
fn table(html: &mut String, name: &str, rows: &[Vec<String>]) {
    let Some((heads, rows)) = rows.split_first() else {
        return;
    };
    push(
        html,
        format_args!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{name}\">\n<table class=\"{name}\">\n<thead><tr>"
        ),
    );
    for head in heads {
        push(
            html,
            format_args!("<th scope=\"col\">{}</th>", escape(head)),
        );
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            push(html, format_args!("<td>{}</td>", escape(cell)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
}

/// A table of names and values.
fn pairs<'a>(html: &mut String, pairs: impl IntoIterator<Item = (&'a str, String)>) {
    html.push_str("<table class=\"pairs\">\n<tbody>\n");
    for (name, value) in pairs {
        push(
            html,
            format_args!(
                "<tr><td>{}</td><td>{}</td></tr>\n",
                escape(name),
                escape(&value)
            ),
        );
    }
    html.push_str("</tbody>\n</table>\n");
}

fn curves(html: &mut String, groups: &[Group<'_>], axes: &[Axis]) -> Result<()> {
    html.push_str("<h2 id=\"curves\">Curves</h2>\n<ul class=\"legend\">\n");
    for (number, group) in groups.iter().enumerate() {
        let colour = number % palette::SERIES.len();
        let dashes = palette::dashes(number).map_or(String::new(), |[dash, _]| format!(" d{dash}"));
        push(
            html,
            format_args!(
                "<li><span class=\"swatch s{colour}{dashes}\"></span>{}</li>\n",
                escape(&group.name)
            ),
        );
    }
    html.push_str("</ul>\n<p class=\"soft\">Losses: every step faint, their running mean clear. One line a run.</p>\n");
    for quantity in Quantity::ALL {
        html.push_str("<div class=\"charts\">\n");
        for &axis in axes {
            let Some(svg) = charts::svg(quantity, axis, groups, Place::Page)? else {
                continue;
            };
            let (y, x) = (quantity.description(groups), axis.description());
            let name = format!("{}{} against {x}", y[..1].to_uppercase(), &y[1..]);
            let summary = in_words(quantity, groups);
            let labelled = format!(
                "<svg role=\"img\" aria-label=\"{name}. {}\"",
                escape(&summary)
            );
            let svg = svg.replacen("<svg", &labelled, 1);
            let svg = svg.replacen('>', &format!("><title>{name}</title>"), 1);
            push(
                html,
                format_args!(
                    "<figure>\n<figcaption>{name}</figcaption>\n{}\n</figure>\n",
                    svg.trim()
                ),
            );
        }
        html.push_str("</div>\n");
    }
    Ok(())
}

/// What a chart shows, for those who do not see it.
fn in_words(quantity: Quantity, groups: &[Group<'_>]) -> String {
    let of_group = |group: &Group<'_>| {
        let ends = |run: &&RunRecord| {
            let curve = match quantity {
                Quantity::Loss => smooth(&run.losses(Axis::Steps)),
                Quantity::Score => run.scores(Axis::Steps),
            };
            Some((curve.first()?.1, curve.last()?.1))
        };
        let ends: Vec<(f64, f64)> = group.runs.iter().filter_map(ends).collect();
        let n = ends.len() as f64;
        (n > 0.0).then(|| {
            let (first, last) = ends.iter().fold((0.0, 0.0), |s, e| (s.0 + e.0, s.1 + e.1));
            format!("{}: from {:.3} to {:.3}", group.name, first / n, last / n)
        })
    };
    let parts: Vec<String> = groups.iter().filter_map(of_group).collect();
    parts.join("; ")
}

/// Every run in a line.
fn each_run(html: &mut String, groups: &[Group<'_>]) {
    let mut rows = vec![
        [
            "run",
            "settings",
            "seed",
            "steps",
            "test before %",
            "test after %",
            "best dev %",
            "best step",
        ]
        .map(String::from)
        .to_vec(),
    ];
    let percent = |share: Option<f64>| share.map_or("-".into(), |x| format!("{:.1}", 100.0 * x));
    for group in groups {
        for run in &group.runs {
            let (summary, best) = (run.summary.as_ref(), run.best());
            let steps = match run.finished() {
                true => run.steps.len().to_string(),
                false => format!("{} (unfinished)", run.steps.len()),
            };
            rows.push(vec![
                run.folder.display().to_string(),
                group.name.clone(),
                run.setting("seed"),
                steps,
                percent(summary.and_then(Summary::before)),
                percent(summary.and_then(Summary::after)),
                percent(best.and_then(|b| b.dev_score.value())),
                best.map_or("-".into(), |b| b.step.to_string()),
            ]);
        }
    }
    html.push_str("<h2 id=\"runs\">Runs</h2>\n");
    table(html, "runs", &rows);
}

/// How long the ranks of a run waited for one another, where there were several.
fn ranks(html: &mut String, runs: &[RunRecord]) {
    let rows = waits::rows(runs);
    if !rows.is_empty() {
        html.push_str("<h2 id=\"ranks\">Ranks</h2>\n");
        table(html, "ranks", &rows);
        html.push_str("<p class=\"soft\">From rank 0 on. The rank that waited least is the one that the others waited for.</p>\n");
    }
}

fn settings(html: &mut String, runs: &[RunRecord], groups: &[Group<'_>]) {
    html.push_str("<section>\n<h2 id=\"settings\">Settings</h2>\n");
    if let Some(first) = groups.first().filter(|group| !group.distinct.is_empty()) {
        let mut rows = vec![vec!["settings".to_string()]];
        rows[0].extend(first.distinct.iter().map(|(key, _)| key.clone()));
        for group in groups {
            let mut row = vec![group.name.clone()];
            row.extend(group.distinct.iter().map(|(_, value)| value.clone()));
            rows.push(row);
        }
        html.push_str("<p>Where they differ:</p>\n");
        table(html, "settings", &rows);
        html.push_str("<p>What they share:</p>\n");
    }
    let shared = shared(runs);
    pairs(
        html,
        shared
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone())),
    );
    html.push_str("</section>\n");
}

fn environments(html: &mut String, runs: &[RunRecord]) {
    html.push_str("<section>\n<h2 id=\"environment\">Environment</h2>\n");
    let mut seen: Vec<(&Environment, usize)> = Vec::new();
    for environment in runs.iter().flat_map(|run| &run.environments) {
        let alike = |known: &&mut (&Environment, usize)| known.0.same_place(environment);
        match seen.iter_mut().find(alike) {
            Some(known) => known.1 += 1,
            None => seen.push((environment, 1)),
        }
    }
    if seen.is_empty() {
        html.push_str("<p>Not recorded.</p>\n");
    }
    for (environment, runs) in &seen {
        if seen.len() > 1 {
            push(html, format_args!("<p>{runs} of the runs:</p>\n"));
        }
        pairs(html, environment.in_words());
    }
    html.push_str("</section>\n");
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<b a=\"'\">&"), "&lt;b a=&quot;&#39;&quot;&gt;&amp;");
    }
}
