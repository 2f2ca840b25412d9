//! Rows and tasks of one's own: what is read, what is asked back, and what is refused before anything is fetched.

use crate::errors::refused;
use crate::support::{run, run_json, scratch, unpack, zograd};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn write_lines(file: &Path, rows: impl IntoIterator<Item = Value>) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    let lines: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    fs::write(file, lines.join("\n")).expect("written");
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a file");
    let line = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(line).collect()
}

const SMALL: [&str; 8] = [
    "--test-examples",
    "8",
    "--batch-size",
    "8",
    "--eval-every",
    "20",
    "--model",
    "embedded",
];

/// They are trained whole and compared whole; with the end at a line break, neither would be.
#[test]
fn answers_of_several_lines_are_learnt_to_their_end() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    let answer = "1. great\n2. bad";
    for split in ["train", "validation"] {
        let row = |k| json!({"film": format!("film {k}"), "steps": answer});
        write_lines(&here(&format!("rows/{split}.jsonl")), (0..24).map(row));
    }
    let task = "template = \"{film}:\"\nanswer = \"steps\"\n";
    fs::write(here("line.toml"), task).expect("written");
    fs::write(here("eos.toml"), format!("{task}end = \"eos\"\n")).expect("written");
    let line = ["--task", "line.toml", "--data", "rows"];
    let parts = [
        "rows/train.jsonl:",
        "\"steps\"",
        "line break",
        "end = \"eos\"",
        "line.toml",
    ];
    refused(
        dir.path(),
        &[&["train"], &SMALL[..], &line].concat(),
        &parts,
    );

    let eos = [
        "--task",
        "eos.toml",
        "--data",
        "rows",
        "--max-new-tokens",
        "20",
    ];
    let train = [
        "train", "--json", "--method", "adam", "--lr", "1e-3", "--steps", "60",
    ];
    let counts = [
        "--train-examples",
        "16",
        "--dev-examples",
        "8",
        "--out",
        "run",
    ];
    let report = run_json(dir.path(), &[&train, &SMALL[..], &eos, &counts].concat());
    assert_eq!(report["exact_match_before"], 0.0);
    assert_eq!(
        (&report["exact_match_after"], &report["f1_after"]),
        (&json!(1.0), &json!(1.0))
    );
    let eval = [
        "eval",
        "--json",
        "--model",
        "run/best",
        "--predictions",
        "p.jsonl",
    ];
    let report = run_json(dir.path(), &[&eval[..], &eos].concat());
    assert_eq!(report["exact_match"], 1.0);
    for line in lines(&here("p.jsonl")) {
        assert_eq!(
            (&line["prediction"], &line["exact_match"]),
            (&json!(answer), &json!(true))
        );
    }
    // the end is a token of its own behind the text
    unpack(dir.path());
    let prompts = [
        "prompts",
        "--json",
        "--form",
        "train",
        "--limit",
        "1",
        "--tokenizer",
        "model",
    ];
    let shown = run_json(dir.path(), &[&prompts[..], &eos[..4]].concat());
    let text = shown["candidates"][0]["text"].as_str().expect("a text");
    assert!(text.ends_with("2. bad</s>"), "{text}");
}

/// Rows that do not say what is right are answered; those that do are scored.
#[test]
fn rows_without_a_label_are_answered() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    let task = "template = \"{sentence} It was\"\ncandidates = [\" terrible\", \" great\"]\n\
                label = \"opinion\"\nlabels = [\"bad\", \"good\"]\n";
    fs::write(here("films.toml"), task).expect("written");
    let row = |k: usize| match k {
        2 => json!({"id": "T-2", "sentence": "a fine film", "opinion": "good"}),
        k => json!({"id": format!("T-{k}"), "sentence": "a dull film"}),
    };
    // no train rows: none are read
    write_lines(&here("some/validation.jsonl"), (0..6).map(row));
    write_lines(&here("none/validation.jsonl"), (0..2).map(row));
    let eval = |data, more: &[&'static str]| {
        let eval = [
            "eval",
            "--model",
            "embedded",
            "--task",
            "films.toml",
            "--data",
            data,
        ];
        [&eval[..], more].concat()
    };
    let words = run(
        dir.path(),
        &eval("some", &["--json", "--predictions", "some.jsonl"]),
    );
    let report: Value = serde_json::from_slice(&words.stdout).expect("JSON");
    assert_eq!(
        (&report["examples"], &report["labelled"]),
        (&json!(6), &json!(1))
    );
    assert!(
        report["accuracy"].is_number() && report["loss"].is_number(),
        "{report}"
    );
    let note = String::from_utf8_lossy(&words.stderr).into_owned();
    assert!(
        note.contains("5 of 6 rows do not say what is right"),
        "{note}"
    );
    for (k, line) in lines(&here("some.jsonl")).iter().enumerate() {
        assert_eq!(
            (&line["index"], &line["id"]),
            (&json!(k), &json!(format!("T-{k}")))
        );
        let name = ["bad", "good"][line["prediction"].as_u64().expect("a number") as usize];
        assert_eq!(line["prediction_name"], name);
        assert_eq!(
            line["label_name"],
            if k == 2 { json!("good") } else { Value::Null }
        );
        assert_eq!(line.get("label").is_some(), k == 2);
        let share = |k: usize| line["probabilities"][k].as_f64().expect("a share");
        assert!((share(0) + share(1) - 1.0).abs() < 1e-12);
    }
    // a sum of the scored row alone is that of the whole
    let report = run_json(
        dir.path(),
        &eval("none", &["--json", "--predictions", "none.jsonl"]),
    );
    assert_eq!(
        (&report["labelled"], &report["loss"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(report.get("accuracy"), None);
    assert_eq!(lines(&here("none.jsonl")).len(), 2);
    let said = run(dir.path(), &eval("none", &["--predictions", "again.jsonl"]));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("2 examples answered, none scored"), "{said}");

    refused(
        dir.path(),
        &eval("none", &[]),
        &[
            "films.toml",
            "label",
            "none/validation.jsonl:1",
            "\"opinion\"",
        ],
    );
    // where the model writes, and where a task is built in
    let quiz = "template = \"{sentence}:\"\nanswer = \"words\"\n";
    fs::write(here("quiz.toml"), quiz).expect("written");
    for (task, file) in [("quiz.toml", "quiz.jsonl"), ("sst2", "sst2.jsonl")] {
        let eval = ["eval", "--json", "--model", "embedded", "--data", "none"];
        let more = ["--task", task, "--predictions", file];
        let report = run_json(dir.path(), &[&eval[..], &more].concat());
        assert_eq!(report["labelled"], 0, "{task}");
        for line in lines(&here(file)) {
            assert!(
                !line["prediction"].is_null() && line.get("answers").is_none(),
                "{line}"
            );
        }
    }
}

/// What was asked for is kept, what was not gives way, and both are said.
#[test]
fn the_number_of_train_examples_is_kept() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    for (split, rows) in [("train", 100), ("validation", 20)] {
        let row = |k| json!({"sentence": format!("film {k}"), "label": k % 2});
        write_lines(&here(&format!("rows/{split}.jsonl")), (0..rows).map(row));
    }
    let input = ["--model", "embedded", "--task", "sst2", "--data", "rows"];
    let train = [
        "train",
        "--steps",
        "1",
        "--train-examples",
        "90",
        "--out",
        "run",
    ];
    let output = run(dir.path(), &[&train[..], &input].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in [
        "90 train and 10 dev of 100 train rows, 20 test of 20 validation rows",
        "90 are trained on, as asked, and the other 10 are for dev",
        "--train-examples",
        "all 20 validation rows",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let rows = |run: &str| fs::read_to_string(here(run).join("examples.json")).expect("rows");
    run_json(
        dir.path(),
        &[
            "train",
            "--json",
            "--config",
            "run/config.toml",
            "--out",
            "again",
        ],
    );
    assert_eq!(rows("again"), rows("run"));
    // both asked for: both give way
    let both = [
        "train",
        "--json",
        "--steps",
        "1",
        "--train-examples",
        "90",
        "--dev-examples",
        "60",
    ];
    let report = run_json(
        dir.path(),
        &[&both[..], &input, &["--out", "both"]].concat(),
    );
    assert_eq!(report["counts"]["train"]["got"], 60);
}

/// Nothing is asked of the hub where something is wrong here.
#[test]
fn what_is_here_is_checked_before_the_hub_is_asked() {
    let dir = scratch();
    unpack(dir.path());
    let here = |name: &str| dir.path().join(name);
    fs::create_dir(here("taken")).expect("a folder");
    fs::write(here("taken/file"), "").expect("written");
    write_lines(&here("other/train.jsonl"), [json!({"text": "x"})]);
    write_lines(&here("other/validation.jsonl"), [json!({"text": "x"})]);
    let preset = [
        "train",
        "--preset",
        "paper/opt-13b/sst2/gv",
        "--backend",
        "flex",
    ];
    for (more, part) in [
        (&[][..], "--data"),
        (&["--data", "nowhere"], "nowhere is not there"),
        (
            &["--data", "other"],
            "train.jsonl:1: field \"sentence\" is missing",
        ),
        (
            &["--data", "data", "--out", "taken"],
            "taken: the folder is not empty",
        ),
        // all is well here
        (&["--data", "data"], "downloading failed"),
    ] {
        let output = zograd(dir.path(), &[&preset[..], more].concat())
            .env("HF_HOME", here("cache"))
            // nothing listens on the discard port
            .env("HF_ENDPOINT", "http://127.0.0.1:9")
            .output();
        let output = output.expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// A model whose runs no disk could hold.
#[test]
fn a_run_without_room_is_refused_by_the_numbers() {
    let dir = scratch();
    unpack(dir.path());
    let config = dir.path().join("model/config.json");
    let text = fs::read_to_string(&config).expect("text");
    let mut shape: Value = serde_json::from_str(&text).expect("JSON");
    for (key, size) in [
        ("hidden_size", 1 << 16),
        ("word_embed_proj_dim", 1 << 16),
        ("ffn_dim", 1 << 18),
        ("num_hidden_layers", 1 << 12),
    ] {
        shape[key] = size.into();
    }
    fs::write(&config, shape.to_string()).expect("written");
    let train = ["train", "--model", "model", "--task", "toy", "--out", "run"];
    refused(
        dir.path(),
        &train,
        &[
            "--out",
            "run",
            "TB",
            "3 times the weights in f32",
            "are free",
        ],
    );
}

#[test]
fn tables_of_other_formats_and_lists_of_objects() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    fs::write(here("tickets.xlsx"), "PK").expect("written");
    fs::create_dir(here("tables")).expect("a folder");
    fs::write(here("tables/validation.xlsx"), "PK").expect("written");
    let eval = ["eval", "--model", "embedded"];
    for (more, parts) in [
        (
            ["--task", "sst2", "--data", "tickets.xlsx"],
            &["tickets.xlsx is not read", "save it as CSV", "to_json("][..],
        ),
        (
            ["--task", "sst2", "--data", "tables"],
            &[
                "validation.xlsx is not read",
                "to_json(\"validation.jsonl\"",
            ],
        ),
        (
            ["--task", "tickets", "--data", "tables"],
            &["\"tickets\"", "your own in a TOML file"],
        ),
    ] {
        refused(dir.path(), &[&eval[..], &more].concat(), parts);
    }
    let rows: Vec<Value> = (0..4)
        .map(|k| json!({"sentence": format!("film {k}"), "label": k % 2}))
        .collect();
    fs::create_dir(here("list")).expect("a folder");
    let text = serde_json::to_string_pretty(&rows).expect("JSON");
    fs::write(here("list/validation.json"), text).expect("written");
    let report = run_json(
        dir.path(),
        &[&eval[..], &["--json", "--task", "sst2", "--data", "list"]].concat(),
    );
    assert_eq!(report["examples"], 4);
}

/// The other rows of a run are the examples it learnt from, and those that chose its weights; of a folder too, where both are
/// drawn from the train rows.
#[test]
fn the_other_rows_of_a_run_are_its_examples() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    for (split, rows) in [("train", 40), ("validation", 10)] {
        let good = |k| if k % 2 == 0 { "no" } else { "yes" };
        let row = |k| json!({"film": format!("{split} {k}"), "good": good(k)});
        write_lines(&here(&format!("rows/{split}.jsonl")), (0..rows).map(row));
    }
    let train = [
        "train",
        "--data",
        "rows",
        "--text",
        "film",
        "--label",
        "good",
        "--steps",
        "2",
        "--train-examples",
        "12",
        "--dev-examples",
        "6",
        "--out",
        "run",
    ];
    run(
        dir.path(),
        &[&train[..], &SMALL[2..4], &SMALL[6..]].concat(),
    );
    let examples: Value =
        serde_json::from_str(&fs::read_to_string(here("run/examples.json")).expect("a list"))
            .expect("JSON");
    for rows in ["train", "dev"] {
        let eval = ["eval", "--model", "run", "--rows", rows];
        run(
            dir.path(),
            &[&eval[..], &["--predictions", "p.jsonl"]].concat(),
        );
        let predicted = lines(&here("p.jsonl"));
        fs::remove_file(here("p.jsonl")).expect("removed");
        let found: Vec<_> = predicted
            .iter()
            .filter_map(|line| line["index"].as_u64())
            .collect();
        let known = examples[rows]["rows"].as_array().expect("rows");
        let mut known: Vec<_> = known.iter().filter_map(Value::as_u64).collect();
        known.sort_unstable();
        assert_eq!(found, known);
    }
}
