//! The page of the book that shows the results.

use super::record::{Record, Results};
use super::targets::{short, table};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// docs/src/benchmarks.md. The words around the numbers are in `page.md`, where `{name}` stands for a table.
pub fn page(results: &Results) -> String {
    let parts = [
        ("{machine}", machine(results)),
        ("{targets}", table(results)),
        (
            "{noise}",
            quantities(
                results,
                "noise",
                &[
                    ("gaussian_s", "Gaussian pass, seconds"),
                    (
                        "gaussian_normals_per_s",
                        "normals a second, one stream in a pass",
                    ),
                    (
                        "gaussian_five_streams_per_s_core",
                        "normals a second and core, five streams in a pass",
                    ),
                    (
                        "gaussian_share_of_copy",
                        "Gaussian pass, share of the copy bandwidth",
                    ),
                    ("rademacher_signs_per_s", "Rademacher, signs a second"),
                    (
                        "rademacher_share_of_copy",
                        "Rademacher pass, share of the copy bandwidth",
                    ),
                    (
                        "in_place_gb_per_s",
                        "adding 1 to every weight in place, GB/s",
                    ),
                    ("copy_gb_per_s", "copying all weights, GB/s"),
                    ("torch_s", "`torch.normal` and `add_`, seconds"),
                    ("torch_speedup", "our speed, times that of PyTorch"),
                ],
            ),
        ),
        (
            "{forward}",
            columns(
                results,
                "forward",
                &[
                    ("tokens", "tokens"),
                    ("forward_s", "seconds"),
                    ("gflops", "GFLOP/s"),
                    ("peak_gflops", "matrix peak"),
                    ("share_of_peak", "share"),
                    ("linear_share_of_peak", "linear layers alone"),
                    ("linear_share_of_time", "their share of the time"),
                ],
            ),
        ),
        (
            "{families}",
            columns(
                results,
                "families",
                &[
                    ("zograd_s", "zograd, s"),
                    ("share_of_peak", "share of the matrix peak"),
                    ("peer_s", "transformers, s"),
                    ("speedup", "times as fast"),
                ],
            ),
        ),
        (
            "{step}",
            columns(
                results,
                "step",
                &[
                    ("zograd_s", "zograd, s"),
                    ("peer_s", "PyTorch, s"),
                    ("speedup", "times as fast"),
                    ("forward_share", "share of our forwards"),
                    ("zograd_peak_mib", "zograd, MiB"),
                    ("peer_peak_mib", "PyTorch, MiB"),
                ],
            ),
        ),
        (
            "{probes}",
            columns(
                results,
                "probes",
                &[
                    ("tokens", "tokens of a probe"),
                    ("one_by_one_s", "one by one, s"),
                    ("together_s", "together, s"),
                    ("gain", "times as fast"),
                    ("difference", "largest difference of a log-probability"),
                ],
            ),
        ),
        (
            "{generate}",
            quantities(
                results,
                "generate",
                &[
                    ("zograd_s", "zograd, seconds"),
                    ("first_token_s", "zograd, the first token of all, seconds"),
                    ("token_s", "zograd, a further token of all, seconds"),
                    ("peer_s", "transformers, seconds"),
                    (
                        "peer_first_token_s",
                        "transformers, the first token of all, seconds",
                    ),
                    ("speedup", "times as fast as transformers"),
                ],
            ),
        ),
        (
            "{memory}",
            quantities(
                results,
                "memory",
                &[
                    ("peak_mb", "peak of the whole run, MB"),
                    ("weights_mb", "weights, MB"),
                    ("limit_mb", "limit, MB"),
                ],
            ),
        ),
        ("{commands}", commands(results)),
    ];
    let mut page = include_str!("page.md").to_owned();
    for (place, text) in parts {
        page = page.replace(place, text.trim_end());
    }
    page
}

fn machine(results: &Results) -> String {
    let m = &results.machine;
    let mut versions: BTreeSet<String> = BTreeSet::new();
    for record in results.records.values() {
        versions.extend(record.peers.iter().map(|(name, v)| format!("{name} {v}")));
    }
    let versions: Vec<String> = versions.into_iter().collect();
    format!(
        "| | |\n|---|---|\n| CPU | {}, {} cores, {} |\n| clock governor | {} |\n| scheduling | {} |\n| memory | {} GiB |\n\
         | system | {} |\n| compiler | {} |\n| libraries | {} |\n| compared with | {} |\n",
        m.cpu,
        m.cores,
        m.vectors,
        m.governor,
        m.scheduling,
        m.memory_gib,
        m.system,
        m.rustc,
        m.libraries,
        if versions.is_empty() {
            "nothing".into()
        } else {
            versions.join(", ")
        },
    )
}

/// A table with a line a quantity, for each record of a topic.
fn quantities(results: &Results, topic: &str, wanted: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for record in results.of(topic) {
        let _ = writeln!(text, "| {} | median | lowest | highest |", case(record));
        text.push_str("|---|---|---|---|\n");
        for (name, label) in wanted {
            if let Some(s) = record.get(name) {
                let [median, min, max] = [s.median, s.min, s.max].map(short);
                let _ = writeln!(text, "| {label} | {median} | {min} | {max} |");
            }
        }
        text.push('\n');
    }
    text
}

/// A table with a line a record; quantities that scatter have their spread in brackets.
fn columns(results: &Results, topic: &str, wanted: &[(&str, &str)]) -> String {
    let labels: Vec<&str> = wanted.iter().map(|(_, label)| *label).collect();
    let mut text = format!("| | rounds | {} |\n", labels.join(" | "));
    let _ = writeln!(text, "|---{}|", "|---".repeat(labels.len() + 1));
    for record in results.of(topic) {
        let cell = |(name, _): &(&str, &str)| match record.get(name) {
            None => String::new(),
            Some(s) if short(s.min) == short(s.max) => short(s.median),
            Some(s) => format!("{} ({} to {})", short(s.median), short(s.min), short(s.max)),
        };
        let cells: Vec<String> = wanted.iter().map(cell).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            case(record),
            record.rounds,
            cells.join(" | ")
        );
    }
    text
}

fn case(record: &Record) -> &str {
    record
        .name
        .split_once('/')
        .map_or(&record.name, |(_, case)| case)
}

/// Each command once, with what it measured.
fn commands(results: &Results) -> String {
    let mut by_command: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for record in results.records.values() {
        by_command
            .entry(&record.command)
            .or_default()
            .push(&record.name);
    }
    let mut text = String::new();
    for (command, names) in by_command {
        let _ = writeln!(text, "```sh\n# {}\n{command}\n```", names.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled() {
        let mut results = Results::empty();
        for name in ["noise/a", "forward/b", "step/c", "probes/e", "memory/d"] {
            let mut record = Record::new(name, 5);
            for quantity in ["gaussian_s", "share_of_peak", "speedup", "gain", "peak_mb"] {
                record.add(quantity, &[1.0, 2.0, 3.0]);
            }
            results.records.insert(name.into(), record);
        }
        let page = page(&results);
        assert!(!page.contains('{') && !page.contains('}'), "{page}");
        assert!(page.contains("| Gaussian pass, seconds | 2.00 | 1.00 | 3.00 |"));
        assert!(
            page.contains("| b | 5 |  |  |  |  | 2.00 (1.00 to 3.00) |"),
            "{page}"
        );
        assert_eq!(page.matches("2.00 (1.00 to 3.00)").count(), 3);
        assert!(page.contains("# forward/b, memory/d, noise/a, probes/e, step/c"));
    }
}
