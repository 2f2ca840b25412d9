//! `zograd predict`: rows in, rows with answers out, in every format, from where an interrupted command ended.

use crate::errors::refused;
use crate::support::{run, run_json, scratch, zograd};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use std::fs;
use std::fs::File;
use std::path::Path;

/// Rows without a label, one of them blank.
fn rows(n: usize) -> String {
    let line = |k: usize| match k {
        5 => "5,\n".to_owned(),
        k => format!("{k},\"film {k}, all of it\"\n"),
    };
    format!("id,review\n{}", (0..n).map(line).collect::<String>())
}

const MODEL: [&str; 8] = [
    "predict",
    "--model",
    "embedded",
    "--text",
    "review",
    "--verbalizer",
    "bad=terrible,good=great",
    "--data",
];

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).expect("a file")
}

#[test]
fn every_format_has_the_same_answers_in_order() {
    let dir = scratch();
    fs::write(dir.path().join("new.csv"), rows(150)).expect("written");
    let predict = |out: &str| {
        [&MODEL[..], &["new.csv", "--out", out]]
            .concat()
            .iter()
            .map(|arg| (*arg).to_owned())
            .collect::<Vec<_>>()
    };
    let go = |out: &str, json: bool| {
        let mut args = predict(out);
        if json {
            args.push("--json".into());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(dir.path(), &args)
    };
    let report: Value = serde_json::from_slice(&go("a.jsonl", true).stdout).expect("JSON");
    assert_eq!(
        (&report["rows"], &report["blank"], &report["before"]),
        (&json!(150), &json!(1), &json!(0))
    );
    assert!(report["rows_per_second"].as_f64().expect("a rate") > 0.0);
    let answers = lines(&read(dir.path(), "a.jsonl"));
    assert_eq!(answers.len(), 150);
    for (k, line) in answers.iter().enumerate() {
        assert_eq!(line["id"], k.to_string());
        if k == 5 {
            assert_eq!(line.get("prediction"), None);
            continue;
        }
        let share = |class: &str| {
            line[&format!("probability_{class}")]
                .as_f64()
                .expect("a share")
        };
        let (bad, good) = (share("bad"), share("good"));
        assert!((bad + good - 1.0).abs() < 1e-9);
        assert_eq!(line["prediction"], if bad >= good { "bad" } else { "good" });
    }
    // eval says the same
    fs::write(
        dir.path().join("task.toml"),
        "template = \"{review}\\nlabel:\"\ncandidates = [\" terrible\", \" great\"]\n\
        labels = [\"bad\", \"good\"]\nlabel = \"label\"\n",
    )
    .expect("written");
    let whole: String = rows(150)
        .lines()
        .filter(|line| *line != "5,")
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(dir.path().join("whole.csv"), whole).expect("written");
    run_json(
        dir.path(),
        &[
            "eval",
            "--json",
            "--model",
            "embedded",
            "--task",
            "task.toml",
            "--data",
            "whole.csv",
            "--predictions",
            "p.jsonl",
        ],
    );
    let by_eval = lines(&read(dir.path(), "p.jsonl"));
    let answered: Vec<&Value> = answers
        .iter()
        .filter(|line| line.get("prediction").is_some())
        .collect();
    assert_eq!(by_eval.len(), answered.len());
    for (a, b) in answered.into_iter().zip(&by_eval) {
        assert_eq!(a["prediction"], b["prediction_name"]);
        let (a, b) = (
            a["probability_good"].as_f64(),
            b["probabilities"][1].as_f64(),
        );
        assert!((a.expect("a share") - b.expect("a share")).abs() < 1e-6);
    }

    go("a.csv", false);
    let csv = read(dir.path(), "a.csv");
    let mut csv = csv.lines();
    assert_eq!(
        csv.next(),
        Some("id,review,prediction,probability_bad,probability_good")
    );
    assert!(
        csv.next()
            .expect("a row")
            .starts_with("0,\"film 0, all of it\",")
    );
    assert_eq!(csv.nth(4), Some("5,,,,"));
    go("a.parquet", false);
    let file = SerializedFileReader::new(File::open(dir.path().join("a.parquet")).expect("a file"))
        .expect("Parquet");
    assert_eq!(file.metadata().file_metadata().num_rows(), 150);
    for (row, line) in file.get_row_iter(None).expect("rows").zip(&answers) {
        for (name, field) in row.expect("a row").get_column_iter() {
            let value = match field {
                Field::Str(text) => json!(text),
                Field::Double(number) => json!(number),
                other => {
                    assert_eq!(*other, Field::Null);
                    Value::Null
                }
            };
            assert_eq!(value, line.get(name).cloned().unwrap_or_default());
        }
    }
    // Parquet by the standard input is what it is as a file; a part of it is no table
    let look = |file: &str, args: &[&str]| {
        let input = File::open(dir.path().join(file)).expect("a file");
        let mut command = zograd(dir.path(), args);
        command.stdin(input).output().expect("the binary starts")
    };
    let seen = |args: &[&str]| {
        let output = look("a.parquet", args);
        let mut seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        seen["data"] = Value::Null;
        seen
    };
    let by_file = seen(&["data", "a.parquet", "--json"]);
    assert_eq!(by_file["splits"][0]["rows"], 150);
    assert_eq!(seen(&["data", "-", "--json"]), by_file);
    let whole = fs::read(dir.path().join("a.parquet")).expect("a file");
    for length in [4, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(dir.path().join("a.parquet"), &whole[..length]).expect("written");
        let output = look("a.parquet", &["data", "-"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{length}: {said}");
        let is_told = said.contains("standard input as Parquet") && said.lines().count() == 1;
        assert!(is_told, "{length}: {said}");
    }
    let piped = go("-", false);
    assert_eq!(
        lines(&String::from_utf8(piped.stdout).expect("text")),
        answers
    );
    let said = String::from_utf8_lossy(&piped.stderr).into_owned();
    assert!(
        said.contains("150 rows answered, 1 with nothing to answer")
            && said.contains("rows a second"),
        "{said}"
    );
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 7);
}

/// Whatever is left of a command that was killed is kept, and not answered again.
#[test]
fn an_unfinished_file_is_gone_on_with() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    fs::write(here("new.csv"), rows(200)).expect("written");
    let args = |data: &'static str, out: &'static str| {
        [&MODEL[..], &[data, "--out", out, "--json"]].concat()
    };
    run_json(dir.path(), &args("new.csv", "whole.csv"));
    // as a kill leaves it: run to where the last row is bad, and cut in the middle of a line
    let spoiled = rows(200).replace("199,\"film 199, all of it\"", "199,\"film\"");
    fs::write(here("spoiled.csv"), &spoiled).expect("written");
    let mut child = zograd(dir.path(), &args("new.csv", "cut.csv"))
        .spawn()
        .expect("started");
    let unfinished = here("cut.csv.unfinished");
    // three blocks of 64 rows
    while fs::metadata(&unfinished).map_or(0, |found| found.len()) < 64 * 100 {
        if child.try_wait().expect("a child").is_some() {
            break;
        }
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().expect("ended");
    if !unfinished.exists() {
        // it was faster than the kill
        assert_eq!(read(dir.path(), "cut.csv"), read(dir.path(), "whole.csv"));
        return;
    }
    let bytes = fs::read(&unfinished).expect("a file");
    fs::write(&unfinished, &bytes[..bytes.len() - 3]).expect("cut");
    let before = bytes.iter().filter(|byte| **byte == b'\n').count() - 2;
    // other rows, another model
    let mut other = rows(200).replace("film 3,", "film three,");
    fs::write(here("other.csv"), &other).expect("written");
    refused(
        dir.path(),
        &args("other.csv", "cut.csv"),
        &["cut.csv.unfinished", "begun with other rows", "other.csv:5"],
    );
    other.truncate(60);
    other.truncate(other.rfind('\n').expect("a line") + 1);
    fs::write(here("short.csv"), other.replace("film three,", "film 3,")).expect("written");
    refused(
        dir.path(),
        &args("short.csv", "cut.csv"),
        &["cut.csv.unfinished", "more than the"],
    );
    let template = [
        &args("new.csv", "cut.csv")[..],
        &["--template", "{review} It was"],
    ]
    .concat();
    refused(
        dir.path(),
        &template,
        &["cut.csv.unfinished", "another model, task or settings"],
    );

    let report = run_json(dir.path(), &args("new.csv", "cut.csv"));
    assert_eq!(report["before"], before);
    assert_eq!(read(dir.path(), "cut.csv"), read(dir.path(), "whole.csv"));
    assert!(!unfinished.exists());
    refused(
        dir.path(),
        &args("new.csv", "cut.csv"),
        &["--out cut.csv", "nothing is written over"],
    );
}

/// A run knows its task and its columns, and rows may have labels that it does not know.
#[test]
fn a_run_needs_the_rows_alone() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    let row = |k: usize| format!("film {k} was {};{}\n", ["dull", "fine"][k % 2], k % 2);
    let labelled: String = (0..80).map(row).collect();
    fs::write(here("rows.csv"), format!("review;stars\n{labelled}")).expect("written");
    fs::write(
        here("new.jsonl"),
        "{\"review\": \"a film\", \"prediction\": \"none\"}\n{\"review\": \"b\", \"stars\": 7}\n",
    )
    .expect("written");
    let train = [
        "train", "--model", "embedded", "--data", "rows.csv", "--text", "review", "--label",
        "stars", "--steps", "2",
    ];
    run(dir.path(), &[&train[..], &["--out", "full"]].concat());
    run(
        dir.path(),
        &[&train[..], &["--tune", "lora", "--out", "lora"]].concat(),
    );
    for model in ["full", "full/best", "lora"] {
        let out = run(
            dir.path(),
            &[
                "predict",
                "--model",
                model,
                "--data",
                "new.jsonl",
                "--out",
                "-",
            ],
        );
        let answers = lines(&String::from_utf8(out.stdout).expect("text"));
        assert_eq!(answers.len(), 2, "{model}");
        assert_eq!(
            (&answers[0]["prediction"], &answers[1]["stars"]),
            (&json!("none"), &json!(7))
        );
        for answer in [&answers[0]["prediction_"], &answers[1]["prediction"]] {
            assert!(
                ["0", "1"].contains(&answer.as_str().expect("a class")),
                "{answer}"
            );
        }
    }
    // what the model writes
    let write = [
        "predict",
        "--model",
        "embedded",
        "--data",
        "new.jsonl",
        "--prompt",
        "review",
        "--max-new-tokens",
        "4",
    ];
    run(
        dir.path(),
        &[&write[..], &["--out", "texts.jsonl"]].concat(),
    );
    assert!(lines(&read(dir.path(), "texts.jsonl"))[1]["prediction"].is_string());
}

#[test]
fn classes_have_their_scores() {
    let dir = scratch();
    let row = |k: usize| format!("film {k}\t{}\n", ["a b", "c", "d"][k % 3]);
    let rows: String = (0..30).map(row).collect();
    fs::write(dir.path().join("rows.tsv"), format!("review\tkind\n{rows}")).expect("written");
    let eval = [
        "eval", "--model", "embedded", "--data", "rows.tsv", "--text", "review", "--label", "kind",
    ];
    let report = run_json(dir.path(), &[&eval[..], &["--json"]].concat());
    let confusion =
        |right: usize, said: usize| report["confusion"][right][said].as_u64().expect("a number");
    let hits: u64 = (0..3).map(|k| confusion(k, k)).sum();
    assert!((report["accuracy"].as_f64().expect("a score") - hits as f64 / 30.0).abs() < 1e-12);
    for (k, name) in ["a b", "c", "d"].iter().enumerate() {
        let class = &report["classes"][k];
        assert_eq!((&class["name"], &class["rows"]), (&json!(name), &json!(10)));
        assert_eq!((0..3).map(|said| confusion(k, said)).sum::<u64>(), 10);
    }
    assert!(report["macro_f1"].is_number());
    let words = run(dir.path(), &eval);
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    for part in ["precision", "macro", "right \\ predicted"] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn what_cannot_be_answered_is_said_before_a_model_is_loaded() {
    let dir = scratch();
    fs::write(dir.path().join("new.csv"), rows(3)).expect("written");
    let with = |more: &[&'static str]| [&["predict", "--model", "embedded"][..], more].concat();
    let asked = [
        "--data",
        "new.csv",
        "--text",
        "review",
        "--verbalizer",
        "bad=terrible,good=great",
    ];
    for (more, parts) in [
        (
            &[
                "--out",
                "a.csv",
                "--text",
                "review",
                "--verbalizer",
                "bad=terrible,good=great",
            ][..],
            &["--data"][..],
        ),
        (
            &[&asked[..], &["--out", "a.xlsx"]].concat(),
            &["--out a.xlsx", ".csv, .tsv, .jsonl or .parquet"],
        ),
        (
            &[&asked[..], &["--out", "none/a.csv"]].concat(),
            &["--out none/a.csv", "no folder"],
        ),
        (&asked, &["--out is missing"]),
        (
            &["--data", "new.csv", "--out", "a.csv", "--text", "review"],
            &["no row says which classes", "--verbalizer"],
        ),
        (
            &[
                "--data", "new.csv", "--out", "a.csv", "--text", "review", "--label", "revew",
            ],
            &["--label revew", "did you mean \"review\""],
        ),
        (
            &["--data", "new.csv", "--out", "a.csv"],
            &["--text and --label"],
        ),
    ] {
        refused(dir.path(), &with(more), parts);
    }
}

/// A name of a row with more digits than a number of 64 bits has, and rows with nothing to answer.
#[test]
fn rows_come_out_as_they_were() {
    let dir = scratch();
    let name = "123456789012345678901";
    let text = format!(
        "{{\"id\": {name}, \"n\": 1, \"review\": \"fine\"}}\n{{\"id\": 2, \"n\": null, \"review\": null}}\n\
         {{\"id\": 3, \"n\": 18446744073709551615}}\n"
    );
    fs::write(dir.path().join("new.jsonl"), &text).expect("written");
    for out in ["a.jsonl", "a.csv", "a.parquet"] {
        let args = [&MODEL[..], &["new.jsonl", "--out", out, "--json"]].concat();
        let report = run_json(dir.path(), &args);
        assert_eq!((&report["rows"], &report["blank"]), (&json!(3), &json!(2)));
    }
    let written = read(dir.path(), "a.jsonl");
    let first = text.lines().next().and_then(|line| line.strip_suffix('}'));
    assert!(written.starts_with(first.expect("a row")), "{written}");
    let answers = lines(&written);
    assert!(answers[0]["prediction"].is_string());
    assert!(
        answers[1..]
            .iter()
            .all(|line| line.get("prediction").is_none())
    );
    let table = read(dir.path(), "a.csv");
    let cells: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(cells, ["id", name, "2", "3"]);
    let file = File::open(dir.path().join("a.parquet")).expect("a file");
    let file = SerializedFileReader::new(file).expect("Parquet");
    let rows: Vec<_> = file.get_row_iter(None).expect("rows").flatten().collect();
    let column = |name: &str| -> Vec<Field> {
        let field = |row: &parquet::record::Row| {
            let found = row.get_column_iter().find(|(known, _)| *known == name);
            found.map(|(_, field)| field.clone())
        };
        rows.iter().filter_map(field).collect()
    };
    let texts = |texts: [&str; 3]| texts.map(|text| Field::Str(text.into())).to_vec();
    assert_eq!(column("id"), texts([name, "2", "3"]));
    assert_eq!(column("n")[2], Field::Str("18446744073709551615".into()));
    // lists are lists in Parquet, and back again
    let row = json!({"review": "fine", "tags": ["a", "b"], "n": [1, 2.5, null], "mixed": [1, "x"], "deep": [["a"]]});
    let bare = json!({"review": "dull", "tags": [], "n": null, "mixed": null, "deep": null});
    fs::write(dir.path().join("lists.jsonl"), format!("{row}\n{bare}\n")).expect("written");
    for (from, to) in [("lists.jsonl", "l.parquet"), ("l.parquet", "l.jsonl")] {
        run(dir.path(), &[&MODEL[..], &[from, "--out", to]].concat());
    }
    let again = lines(&read(dir.path(), "l.jsonl"));
    for (field, first, second) in [
        ("tags", json!(["a", "b"]), json!([])),
        ("n", json!([1.0, 2.5, null]), Value::Null),
        ("mixed", json!("[1,\"x\"]"), Value::Null),
        ("deep", json!("[[\"a\"]]"), Value::Null),
    ] {
        assert_eq!((&again[0][field], &again[1][field]), (&first, &second));
    }
    // rows of which not one has the field are other rows
    fs::write(dir.path().join("other.jsonl"), "{\"film\": \"fine\"}\n").expect("written");
    let other = [&MODEL[..], &["other.jsonl", "--out", "b.jsonl"]].concat();
    refused(dir.path(), &other, &["review"]);
}
