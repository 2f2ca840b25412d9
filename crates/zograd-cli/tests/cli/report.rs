//! `zograd report`: the page, the tables and the pictures of small runs.

use crate::support::{run, run_json, scratch, unpack, zograd};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Runs of two settings, one of them with two seeds.
fn runs(dir: &Path) -> [&'static str; 3] {
    for (out, method, seed) in [("a", "gv", "0"), ("b", "gv", "1"), ("c", "mezo", "0")] {
        let args = [
            "train",
            "--json",
            "--method",
            method,
            "--seed",
            seed,
            "--out",
            out,
            "--forwards",
            "120",
            "--lr",
            "1e-4",
            "--batch-size",
            "4",
            "--train-examples",
            "64",
            "--dev-examples",
            "32",
            "--test-examples",
            "32",
        ];
        run_json(dir, &args);
    }
    ["a", "b", "c"]
}

/// A run of two steps.
fn two_steps(dir: &Path, out: &str, more: &[&str]) {
    let args = [
        "train",
        "--steps",
        "2",
        "--batch-size",
        "4",
        "--train-examples",
        "16",
        "--dev-examples",
        "8",
        "--test-examples",
        "8",
        "--out",
        out,
    ];
    run(dir, &[&args[..], more].concat());
}

/// Tags that are opened and closed in order; `meta` and the like have no end.
fn assert_nested(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let tag = &rest[start + 1..];
        let end = tag.find('>').expect("a tag ends");
        let (inside, after) = (&tag[..end], &tag[end + 1..]);
        rest = after;
        let name = inside
            .trim_start_matches('/')
            .split([' ', '/'])
            .next()
            .expect("a name");
        let void = inside.ends_with('/') || inside.starts_with('!') || name == "meta";
        match inside.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "closed in the wrong order"),
            false if !void => open.push(name),
            false => {}
        }
    }
    assert_eq!(open, [""; 0], "left open");
}

/// A run that ranks shared has their waiting on its page, beside one that a process made alone.
#[test]
fn the_page_says_how_long_ranks_waited() {
    let dir = scratch();
    for out in ["shared", "alone"] {
        two_steps(dir.path(), out, &[]);
    }
    let page = |out: &str, runs: &[&str]| {
        run(dir.path(), &[&["report", "--out", out], runs].concat());
        fs::read_to_string(dir.path().join(out)).expect("a page")
    };
    let none = page("none.html", &["shared", "alone"]);
    assert!(!none.contains("id=\"ranks\""), "{none}");
    // what three ranks would have left
    let file = dir.path().join("shared/summary.json");
    let text = fs::read_to_string(&file).expect("a summary");
    let mut summary: Value = serde_json::from_str(&text).expect("JSON");
    summary["waited"] = serde_json::json!([0.25, 12.04, 3.0]);
    fs::write(&file, summary.to_string()).expect("written");
    let html = page("some.html", &["shared", "alone"]);
    assert_nested(&html);
    let (_, ranks) = html.split_once("id=\"ranks\"").expect("a part for ranks");
    let (table, _) = ranks.split_once("</table>").expect("a table");
    assert!(table.contains("<td>shared</td><td>3</td>"), "{table}");
    assert!(table.contains("<td>0.2, 12.0, 3.0</td>"), "{table}");
    assert!(!table.contains("<td>alone</td>"), "{table}");
}

/// Rows as JSON are something else than a page, so that there is no file in the way of the next report.
#[test]
fn a_report_as_json_can_be_made_twice() {
    let dir = scratch();
    runs(dir.path());
    let once = run_json(dir.path(), &["report", "--json", "a"]);
    assert_eq!(run_json(dir.path(), &["report", "--json", "a"]), once);
    assert!(!dir.path().join("report.html").exists());
}

#[test]
fn the_page_needs_no_other_file_and_says_what_the_runs_say() {
    let dir = scratch();
    let folders = runs(dir.path());
    let page = ["report", "--json", "--out", "report.html"];
    let rows = run_json(dir.path(), &[&page[..], &folders].concat());
    let html = fs::read_to_string(dir.path().join("report.html")).expect("a page");
    assert_nested(&html);
    for part in ["http-equiv", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!html.contains(part), "{part}");
    }
    let addresses = html.matches("http").count();
    assert_eq!(
        addresses,
        html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count()
    );
    assert_eq!(html.matches("<svg role=\"img\" aria-label=\"").count(), 6);
    for part in [
        "prefers-color-scheme:dark",
        "<html lang=\"en\">",
        "Training loss against forward passes",
        "Development accuracy against seconds",
        "</span>gv</li>",
        "processor",
        "ndarray",
        "± ",
        "<td>batch-size</td><td>4</td>",
    ] {
        assert!(html.contains(part), "{part}");
    }

    // two groups; the mean of the first is that of its runs
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    assert_eq!(rows[0]["runs"], serde_json::json!(["a", "b"]));
    let after = |run: &str| -> f64 {
        let text =
            fs::read_to_string(dir.path().join(run).join("summary.json")).expect("a summary");
        let summary: Value = serde_json::from_str(&text).expect("JSON");
        summary["accuracy_after"].as_f64().expect("a number")
    };
    let (a, b) = (after("a"), after("b"));
    let spread = &rows[0]["test_after"];
    assert_eq!(spread["runs"], 2);
    assert!((spread["mean"].as_f64().expect("a mean") - (a + b) / 2.0).abs() < 1e-12);
    let deviation = spread["standard_deviation"].as_f64().expect("a deviation");
    assert!((deviation - (a - b).abs() / 2f64.sqrt()).abs() < 1e-12);
    assert_eq!(rows[1]["test_after"]["standard_deviation"], Value::Null);
}

/// A built-in run's settings name neither model nor task, and are as good a row as any.
#[test]
fn model_and_task_are_named_whatever_the_runs() {
    let dir = scratch();
    unpack(dir.path());
    let short = |out: &'static str, more: &[&'static str]| two_steps(dir.path(), out, more);
    let own = ["--model", "model", "--task", "sst2", "--data", "data"];
    short("toy", &[]);
    short("own", &own);
    short(
        "low",
        &[&own[..], &["--lr", "1e-7", "--pool", "6"]].concat(),
    );
    let args = ["report", "--json", "--csv", "t", "toy", "own", "low"];
    let rows = run_json(dir.path(), &args);
    let told = |row: usize, key: &str| rows[row][key].as_str().expect("a text").to_owned();
    assert_eq!([told(0, "model"), told(0, "task")], ["embedded", "toy"]);
    assert_eq!([told(1, "model"), told(1, "task")], ["model", "sst2"]);
    assert_eq!(told(1, "label"), "gv, lr 1e-6, pool 4");
    assert_eq!(told(2, "label"), "gv, lr 1e-7, pool 6");
    assert_eq!(rows[0]["settings"]["task"], "toy");
    let csv = fs::read_to_string(dir.path().join("t/runs.csv")).expect("a table");
    let (heads, line) = csv.split_once('\n').expect("heads");
    let heads: Vec<&str> = heads.split(',').collect();
    for head in ["model", "task", "pool", "dtype", "batch_size", "data"] {
        assert!(heads.contains(&head), "{head} in {heads:?}");
    }
    assert!(
        line.starts_with(
            "toy,\"toy on embedded: gv, lr 2e-5, pool 4\",embedded,toy,gv,full,2e-5,1e-3,4,4,f32,"
        ),
        "{line}"
    );
    let text = run(dir.path(), &["report", "toy", "own"]).stdout;
    let text = String::from_utf8(text).expect("UTF-8");
    let row = text.lines().nth(2).expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[..3], ["model", "sst2", "gv"], "{text}");
}

#[test]
fn a_run_that_is_named_twice_counts_once_and_a_page_is_never_in_the_way() {
    let dir = scratch();
    two_steps(dir.path(), "a", &[]);
    let mut twice = vec!["report", "--json", "a", "./a", "a/../a"];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path().join("a"), dir.path().join("b")).expect("a link");
        twice.push("b");
    }
    let output = run(dir.path(), &twice);
    let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(rows[0]["runs"], serde_json::json!(["a"]));
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        notes.matches("counts once").count(),
        twice.len() - 3,
        "{notes}"
    );
    for page in ["report.html", "report-2.html", "report-3.html"] {
        run(dir.path(), &["report", "a"]);
        assert!(dir.path().join(page).exists(), "{page}");
    }
}

/// Colours repeat after eight, and then lines are dashed.
#[test]
fn more_curves_than_colours_are_told_apart() {
    let dir = scratch();
    let rates = [
        "1e-7", "2e-7", "3e-7", "4e-7", "5e-7", "6e-7", "7e-7", "8e-7", "9e-7",
    ];
    for rate in rates {
        two_steps(dir.path(), rate, &["--lr", rate]);
    }
    let page = ["report", "--json", "--out", "report.html"];
    run(dir.path(), &[&page[..], &rates].concat());
    let html = fs::read_to_string(dir.path().join("report.html")).expect("a page");
    assert!(html.contains("<span class=\"swatch s7\"></span>gv, lr 8e-7</li>"));
    assert!(html.contains("<span class=\"swatch s0 d8\"></span>gv, lr 9e-7</li>"));
}

#[test]
fn tables_and_pictures() {
    let dir = scratch();
    let folders = runs(dir.path());
    let args = [
        &["report", "--csv", "t", "--svg", "s", "--png", "p"][..],
        &["--tensorboard", "e"],
        &folders,
    ]
    .concat();
    run(dir.path(), &args);
    // a record each: length, checksum, event, checksum
    let records = folders.iter().map(|run| {
        let path = dir.path().join("e").join(run);
        let bytes = fs::read(path.join("events.out.tfevents.0.zograd")).expect("events");
        let (mut at, mut records) = (0, 0);
        while let Some(length) = bytes.get(at..at + 8) {
            let length = u64::from_le_bytes(length.try_into().expect("eight"));
            (at, records) = (at + 16 + length as usize, records + 1);
        }
        assert_eq!(at, bytes.len());
        records
    });
    // a beginning each, steps, evaluations
    assert_eq!(records.sum::<usize>(), 3 + 100 + 33);
    assert!(
        !dir.path().join("report.html").exists(),
        "a page nobody asked for"
    );
    let csv = |name: &str| fs::read_to_string(dir.path().join("t").join(name)).expect("a table");
    assert_eq!(csv("runs.csv").lines().count(), 1 + 3);
    // 120 forwards: 20 steps of 6, twice, and 60 of 2
    assert_eq!(csv("steps.csv").lines().count(), 1 + 2 * 20 + 60);
    // before the first step and ten times more
    assert_eq!(csv("evals.csv").lines().count(), 1 + 3 * 11);
    for name in ["runs.csv", "steps.csv", "evals.csv"] {
        let text = csv(name);
        // labels with commas are quoted, and stand in runs.csv only
        let columns = |line: &str| {
            let quoted = line.split('"').enumerate();
            let commas = quoted
                .filter(|(i, _)| i % 2 == 0)
                .map(|(_, t)| t.matches(',').count());
            commas.sum::<usize>()
        };
        let heads = columns(text.lines().next().expect("heads"));
        assert!(text.lines().all(|line| columns(line) == heads), "{name}");
    }
    for quantity in ["loss", "score"] {
        for axis in ["steps", "forwards", "seconds"] {
            let svg = fs::read_to_string(dir.path().join(format!("s/{quantity}-{axis}.svg")));
            let svg = svg.expect("a chart");
            assert!(svg.starts_with("<svg") && svg.contains("mezo"), "no legend");
            assert!(!svg.contains("NaN"));
            let png = fs::read(dir.path().join(format!("p/{quantity}-{axis}.png")));
            let png = png.expect("a picture");
            assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
            // width and height stand in the first chunk
            let number =
                |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("4 bytes"));
            assert_eq!((number(16), number(20)), (960, 750));
        }
    }
    // nothing is written over, and then nothing at all
    fs::remove_file(dir.path().join("p/loss-steps.png")).expect("removed");
    let output = zograd(dir.path(), &args)
        .output()
        .expect("the binary starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("exists already"), "{error}");
    assert!(!dir.path().join("p/loss-steps.png").exists());
}

#[test]
fn unfinished_runs_and_sweeps_can_be_looked_at_and_other_folders_cannot() {
    let dir = scratch();
    runs(dir.path());
    // a kill leaves no summary and half a line
    fs::remove_file(dir.path().join("a/summary.json")).expect("removed");
    let metrics = dir.path().join("a/metrics.jsonl");
    let text = fs::read_to_string(&metrics).expect("metrics");
    fs::write(&metrics, &text[..text.len() - 100]).expect("written");
    let page = ["report", "--json", "--out", "report.html", "a"];
    let rows = run_json(dir.path(), &page);
    assert_eq!(
        (&rows[0]["finished"], &rows[0]["test_after"]),
        (&0.into(), &Value::Null)
    );
    let html = fs::read_to_string(dir.path().join("report.html")).expect("a page");
    assert!(html.contains("unfinished"));

    let sweep = [
        "sweep",
        "--forwards",
        "24",
        "--batch-size",
        "4",
        "--dev-examples",
        "8",
        "--lr",
        "1e-5,1e-4",
        "--out",
        "s",
    ];
    run(dir.path(), &sweep);
    let rows = run_json(dir.path(), &["report", "--json", "s", "--out", "s.html"]);
    assert_eq!(rows.as_array().map(Vec::len), Some(2));

    fs::create_dir(dir.path().join("empty")).expect("a folder");
    fs::write(dir.path().join("c/summary.json"), "{").expect("written");
    for (args, part) in [
        (&["report", "nowhere"][..], "nowhere"),
        (&["report", "empty"], "no run folder"),
        (&["report", "c"], "summary.json"),
        (&["report"], "RUN"),
    ] {
        let output = zograd(dir.path(), args)
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(part) && error.lines().count() == 1,
            "{error}"
        );
    }
}
