//! All tasks, objectives and task files, end to end, with the built-in model.

use crate::errors::refused;
use crate::support::{run, run_json, scratch, unpack};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A row of each task, with its field names.
fn row(task: &str, k: usize) -> Value {
    let label = k % 2;
    match task {
        "sst2" => json!({"sentence": "a fine film ", "label": label}),
        "rte" => json!({"premise": "It rained.", "hypothesis": "It was wet.", "label": label}),
        "cb" => json!({"premise": "It rained.", "hypothesis": "It was wet.", "label": k % 3}),
        "boolq" => json!({"passage": "Rain is wet.", "question": "is rain wet", "label": label}),
        "wsc" => {
            json!({"text": "Ann saw Bea and she left.", "span1_text": "Ann", "span2_text": "she",
            "label": label})
        }
        "wic" => {
            json!({"word": "set", "sentence1": "A set.", "sentence2": "Set it.", "label": label})
        }
        "multirc" => json!({"paragraph": "It rained.", "question": "What?", "answer": "rain",
            "label": label}),
        "copa" => {
            json!({"premise": "It rained.", "choice1": "It got wet.", "choice2": "It got dry.",
            "question": "effect", "label": label})
        }
        "record" => json!({"passage": "Ann met Bea.", "query": "She is @placeholder.",
            "entities": ["Ann", "Bea", "Cat"], "answers": ["Bea", "Cat"]}),
        "squad" => json!({"title": "Rain", "context": "Rain is wet.", "question": "What is wet?",
            "answers": {"text": ["Rain", "the rain"], "answer_start": [0, 0]}}),
        "drop" => json!({"passage": "Two and two.", "question": "How many?",
            "answers_spans": {"spans": ["4", "four"], "types": ["number", "span"]}}),
        other => panic!("no row for {other}"),
    }
}

fn write_rows(dir: &Path, rows: impl Fn(usize) -> Value) {
    fs::create_dir_all(dir).expect("a folder");
    for split in ["train", "validation"] {
        let lines: Vec<String> = (0..12).map(|k| rows(k).to_string()).collect();
        fs::write(dir.join(format!("{split}.jsonl")), lines.join("\n")).expect("written");
    }
}

const SMALL: [&str; 12] = [
    "--train-examples",
    "6",
    "--dev-examples",
    "4",
    "--test-examples",
    "4",
    "--batch-size",
    "4",
    "--steps",
    "2",
    "--method",
    "mezo",
];

/// Every task is measured and trained by its own metric, on what the originals train it on.
#[test]
fn every_task_evaluates_and_trains() {
    let dir = scratch();
    for (task, objective) in [
        ("sst2", "classification"),
        ("rte", "classification"),
        ("cb", "classification"),
        ("boolq", "classification"),
        ("wsc", "classification"),
        ("wic", "classification"),
        ("multirc", "classification"),
        ("copa", "teacher-forcing"),
        ("record", "teacher-forcing"),
        ("squad", "teacher-forcing"),
        ("drop", "teacher-forcing"),
    ] {
        let data = format!("data-{task}");
        write_rows(&dir.path().join(&data), |k| row(task, k));
        let written = ["squad", "drop"].contains(&task);
        let (metric, more) = match written {
            true => ("f1", &["--max-new-tokens", "6"][..]),
            false => ("accuracy", &[][..]),
        };
        let common = [
            "--json", "--model", "embedded", "--task", task, "--data", &data,
        ];
        let common = [&common[..], more].concat();

        let file = format!("{task}.jsonl");
        let eval = [&["eval", "--predictions", &file], &common[..]].concat();
        let report = run_json(dir.path(), &eval);
        assert_eq!(report["metric"], metric, "{task}");
        let score = report[metric].as_f64().expect("a score");
        assert!((0.0..=1.0).contains(&score), "{task}");
        assert!(report["loss"].as_f64() > Some(0.0), "{task}");
        assert_eq!(report["exact_match"].is_number(), written, "{task}");
        let predictions = fs::read_to_string(dir.path().join(&file));
        let predictions = predictions.expect("predictions");
        for line in predictions.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["prediction"].is_string(), written);
            assert_eq!(line["answers"].is_array(), written);
            // several right candidates are all named
            assert_eq!(line["correct"].is_array(), task == "record");
        }

        let train = [&["train", "--out", task], &SMALL[..], &common[..]].concat();
        let report = run_json(dir.path(), &train);
        assert_eq!(
            (&report["metric"], &report["objective"]),
            (&metric.into(), &objective.into())
        );
        for key in ["_before", "_after"] {
            assert!(report[format!("{metric}{key}")].is_number(), "{task} {key}");
        }
        assert!(report[format!("best_dev_{metric}")].is_number(), "{task}");
        assert_eq!(report["accuracy_after"].is_number(), !written);
        let metrics = fs::read_to_string(dir.path().join(task).join("metrics.jsonl"));
        let metrics = metrics.expect("metrics");
        let evals: Vec<Value> = metrics
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|line| line["kind"] == "eval")
            .collect();
        assert!(!evals.is_empty());
        for eval in evals {
            assert!(eval[format!("dev_{metric}")].is_number(), "{task}: {eval}");
        }
        let config = fs::read_to_string(dir.path().join(task).join("config.toml"));
        assert!(
            config
                .expect("settings")
                .contains(&format!("objective = \"{objective}\""))
        );
    }
}

/// The rows of a run are in its folder, and are those that its seed draws.
#[test]
fn the_rows_of_a_run_are_recorded() {
    let dir = scratch();
    run_json(
        dir.path(),
        &[&["train", "--json", "--out", "a"], &SMALL[..]].concat(),
    );
    let text = fs::read_to_string(dir.path().join("a/examples.json")).expect("rows");
    let rows: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(rows["seed"], 0);
    let list = |kind: &str| -> Vec<u64> {
        let rows = rows[kind]["rows"].as_array().expect("rows");
        rows.iter()
            .map(|row| row.as_u64().expect("a number"))
            .collect()
    };
    let (train, dev) = (list("train"), list("dev"));
    assert_eq!((train.len(), dev.len(), list("test").len()), (6, 4, 4));
    assert_eq!(rows["test"]["split"], "validation");
    assert!(dev.iter().all(|row| !train.contains(row)));
    let eval = ["eval", "--json", "--shots", "3", "--test-examples", "4"];
    let shown = run_json(dir.path(), &eval)["demonstrations"].clone();
    // demonstrations are the first training examples
    assert_eq!(shown, json!(train[..3]));
}

/// Accuracy itself: its losses are counts, a step without a difference is flat and changes nothing.
#[test]
fn accuracy_can_be_minimised_itself() {
    let dir = scratch();
    let args = [
        &[
            "train",
            "--json",
            "--objective",
            "accuracy",
            "--eps",
            "1e-12",
            "--out",
            "flat",
        ],
        &SMALL[..],
    ];
    let report = run_json(dir.path(), &args.concat());
    assert_eq!(
        (&report["objective"], &report["flat"]),
        (&"accuracy".into(), &report["steps"])
    );
    assert_eq!(report["accuracy_before"], report["accuracy_after"]);

    let args = [
        &[
            "train",
            "--json",
            "--objective",
            "accuracy",
            "--eps",
            "3e-2",
            "--lr",
            "1e-6",
            "--out",
            "steep",
        ],
        &SMALL[..8],
        &["--steps", "8", "--method", "greedy"],
    ];
    let report = run_json(dir.path(), &args.concat());
    assert!(report["flat"].as_u64() < Some(8), "{report}");
    let metrics = fs::read_to_string(dir.path().join("steep/metrics.jsonl")).expect("metrics");
    for line in metrics.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        for loss in line["losses"].as_array().into_iter().flatten() {
            let right = -4.0 * loss.as_f64().expect("finite");
            assert!(
                (0.0..=4.0).contains(&right) && right.fract() == 0.0,
                "{line}"
            );
        }
    }
}

/// Word overlap itself, on answers that the model writes in every forward.
#[test]
fn f1_can_be_minimised_itself() {
    let dir = scratch();
    unpack(dir.path());
    // the built-in model goes on with " great" or " terrible", sometimes with more
    let task = "template = \"{sentence} It was\"\nanswer = \"word\"";
    fs::write(dir.path().join("words.toml"), task).expect("written");
    let rows = fs::read_to_string(dir.path().join("data/train.jsonl")).expect("rows");
    let rows: Vec<Value> = rows
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    write_rows(&dir.path().join("words"), |k| {
        let word = ["terrible", "great"][rows[k]["label"].as_u64().expect("a label") as usize];
        json!({"sentence": rows[k]["sentence"], "word": [word, "fine"]})
    });
    let args = [
        &[
            "train",
            "--json",
            "--model",
            "embedded",
            "--task",
            "words.toml",
            "--data",
            "words",
            "--objective",
            "f1",
        ],
        &["--max-new-tokens", "4", "--eps", "2e-2", "--out", "run"][..],
        &SMALL[..],
    ];
    let report = run_json(dir.path(), &args.concat());
    assert_eq!(
        (&report["objective"], &report["metric"]),
        (&"f1".into(), &"f1".into())
    );
    assert!(report["tokens"].as_u64() > Some(0));
    let metrics = fs::read_to_string(dir.path().join("run/metrics.jsonl")).expect("metrics");
    // behind the evaluation of the untuned model
    let step: Value = serde_json::from_str(metrics.lines().nth(1).expect("a step")).expect("JSON");
    for loss in step["losses"].as_array().expect("losses") {
        assert!(
            (-1.0..=0.0).contains(&loss.as_f64().expect("finite")),
            "{step}"
        );
    }
    // the settings name the task file from anywhere, and say everything
    let again = [
        "train",
        "--json",
        "--config",
        "run/config.toml",
        "--out",
        "again",
    ];
    let again = run_json(dir.path(), &again);
    assert_eq!(again["f1_after"], report["f1_after"]);
}

/// Scores without the input are subtracted; that needs a task that has such a prompt.
#[test]
fn calibration_changes_scores() {
    let dir = scratch();
    let scores = |name: &str, more: &[&str]| {
        let args = [
            &[
                "eval",
                "--json",
                "--test-examples",
                "6",
                "--shots",
                "2",
                "--predictions",
                name,
            ],
            more,
        ];
        run(dir.path(), &args.concat());
        let text = fs::read_to_string(dir.path().join(name)).expect("predictions");
        let score = |line| serde_json::from_str::<Value>(line).expect("JSON")["scores"].clone();
        text.lines().map(score).collect::<Vec<_>>()
    };
    let (plain, sfc) = (scores("a", &[]), scores("b", &["--sfc"]));
    let icl = scores("c", &["--icl-sfc"]);
    assert!(plain != sfc && sfc != icl && plain != icl);
    refused(
        dir.path(),
        &["eval", "--icl-sfc"],
        &["--icl-sfc", "--shots"],
    );
    refused(
        dir.path(),
        &["eval", "--icl-sfc", "--sfc", "--shots", "1"],
        &["--sfc"],
    );
    write_rows(&dir.path().join("squad"), |k| row("squad", k));
    refused(
        dir.path(),
        &[
            "eval", "--model", "embedded", "--task", "squad", "--data", "squad", "--sfc",
        ],
        &["squad", "sfc"],
    );
}

/// The examples of the book do what it says.
#[test]
fn the_task_files_of_the_book_work() {
    let dir = scratch();
    for file in ["mail.toml", "quiz.toml"] {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/examples");
        fs::copy(book.join(file), dir.path().join(file)).expect("an example of the book");
    }
    let kinds = ["question", "complaint", "order"];
    write_rows(
        &dir.path().join("mails"),
        |k| json!({"subject": "Tea", "body": "Where is my tea?", "kind": kinds[k % 3]}),
    );
    let mail = [
        "--json",
        "--model",
        "embedded",
        "--task",
        "mail.toml",
        "--data",
        "mails",
    ];
    let report = run_json(dir.path(), &[&["eval", "--sfc"], &mail[..]].concat());
    assert_eq!(
        (&report["task"], &report["metric"]),
        (&"mail".into(), &"accuracy".into())
    );
    let report = run_json(dir.path(), &[&["train"], &SMALL[..], &mail[..]].concat());
    assert_eq!(report["run"], "runs/mail-mezo");

    write_rows(
        &dir.path().join("quiz"),
        |_| json!({"question": "Capital of France?", "answers": ["Paris", "paris city"]}),
    );
    let quiz = [
        "--json",
        "--model",
        "embedded",
        "--task",
        "quiz.toml",
        "--data",
        "quiz",
        "--max-new-tokens",
        "5",
    ];
    let report = run_json(dir.path(), &[&["eval", "--shots", "1"], &quiz[..]].concat());
    assert_eq!(report["metric"], "exact-match");
    assert!(report["exact_match"].is_number());
    let prompts = [
        "prompts",
        "--task",
        "quiz.toml",
        "--data",
        "quiz",
        "--tokenizer",
    ];
    unpack(dir.path());
    let shown = run(
        dir.path(),
        &[&prompts[..], &["model", "--limit", "1"]].concat(),
    );
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Question: Capital of France?"), "{shown}");
}

/// Rows, task files and settings that do not fit: one line that names the culprit.
#[test]
fn what_does_not_fit_is_named() {
    let dir = scratch();
    unpack(dir.path());
    write_rows(&dir.path().join("squad"), |k| row("squad", k));
    write_rows(&dir.path().join("sst2"), |k| row("sst2", k));
    write_rows(&dir.path().join("holes"), |k| match k {
        5 => json!({"title": "Rain", "context": "Wet.", "question": "What?"}),
        k => row("squad", k),
    });
    write_rows(
        &dir.path().join("mails"),
        |k| json!({"subjects": "Tea", "body": "?", "kind": if k == 7 { "spam" } else { "order" }}),
    );
    write_rows(
        &dir.path().join("spam"),
        |k| json!({"subject": "Tea", "body": "?", "kind": if k == 7 { "spam" } else { "order" }}),
    );
    write_rows(
        &dir.path().join("good"),
        |_| json!({"subject": "Tea", "body": "?", "kind": "order"}),
    );
    let mail = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/examples/mail.toml"),
    );
    let mail = mail.expect("an example of the book");
    fs::write(dir.path().join("mail.toml"), &mail).expect("written");
    let empty = mail.replace("\" a question\"", "\" \"");
    fs::write(dir.path().join("empty.toml"), empty).expect("written");
    fs::write(
        dir.path().join("typo.toml"),
        mail.replace("labels", "lables"),
    )
    .expect("written");
    for (args, parts) in [
        (
            &["squad", "holes"][..],
            &["validation.jsonl:6", "answers.text"][..],
        ),
        (
            &["mail.toml", "mails"],
            &["mail.toml", "\"subject\"", "did you mean \"subjects\"?"],
        ),
        (
            &["mail.toml", "spam"],
            &["validation.jsonl:8", "spam", "\"question\""],
        ),
        (&["empty.toml", "good"], &["option 0", "no token"]),
        (
            &["typo.toml", "good"],
            &["typo.toml", "\"lables\"", "did you mean \"labels\"?"],
        ),
        (&["nothing.toml", "good"], &["nothing.toml"]),
        (
            &["sst2", "sst2", "--max-new-tokens", "5"],
            &["--max-new-tokens", "sst2"],
        ),
        (&["sst2", "sst2", "--beams", "2"], &["--beams", "sst2"]),
        (
            &["squad", "squad", "--max-new-tokens", "0"],
            &["--max-new-tokens 0"],
        ),
        (
            &["squad", "squad", "--max-new-tokens", "127"],
            &["128", "127", "no room"],
        ),
        (&["squad", "squad", "--beams", "0"], &["--beams 0"]),
    ] {
        let common = [
            "eval", "--model", "embedded", "--task", args[0], "--data", args[1],
        ];
        let args = [&common[..], &args[2..]].concat();
        refused(dir.path(), &args, parts);
    }
    for (task, objective, part) in [
        ("squad", "classification", "teacher-forcing"),
        ("squad", "accuracy", "f1"),
        ("sst2", "f1", "accuracy"),
    ] {
        let args = [
            "train",
            "--model",
            "embedded",
            "--task",
            task,
            "--data",
            task,
            "--objective",
            objective,
        ];
        refused(dir.path(), &args, &["--objective", objective, part]);
    }
}

/// Prompts and demonstrations that are too long lose their beginning, and that is said.
#[test]
fn truncation_is_told() {
    let dir = scratch();
    let args = ["eval", "--shots", "12", "--test-examples", "8"];
    let output = run(dir.path(), &args);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("8 of 8 prompts") && words.contains("demonstrations"),
        "{words}"
    );
    write_rows(&dir.path().join("squad"), |k| {
        let mut row = row("squad", k);
        row["context"] = "Rain is wet. ".repeat(20).into();
        row
    });
    let args = [
        "eval", "--json", "--model", "embedded", "--task", "squad", "--data", "squad",
    ];
    let report = run_json(dir.path(), &args);
    assert_eq!(
        (&report["truncated"], &report["examples"]),
        (&12.into(), &12.into())
    );
}
