//! Rows as people have them: one file in any format, its columns by name, no task file.

use crate::errors::refused;
use crate::support::{metrics, run, run_json, run_text, scratch, unpack, zograd};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// So many reviews and what they say, each text once.
fn reviews(n: usize) -> Vec<(String, &'static str)> {
    let review = |k: usize| match k % 2 {
        0 => (format!("film {k}, it was \"fine\";\nall of it"), "positive"),
        _ => (format!("film {k}, it was dull"), "negative"),
    };
    (0..n).map(review).collect()
}

/// As a spreadsheet writes it.
fn csv(rows: &[(String, &str)], separator: char) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let line = |(text, label): &(String, &str)| format!("{}{separator}{label}\r\n", quoted(text));
    let lines: String = rows.iter().map(line).collect();
    format!("review{separator}sentiment\r\n{lines}")
}

fn json_lines(rows: &[(String, &str)]) -> String {
    let line =
        |(text, label): &(String, &str)| json!({"review": text, "sentiment": label}).to_string();
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

const COLUMNS: [&str; 4] = ["--text", "review", "--label", "sentiment"];

fn with_input(dir: &Path, args: &[&str], input: &str) -> Value {
    let mut child = zograd(dir, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut to = child.stdin.take().expect("piped");
    to.write_all(input.as_bytes()).expect("read");
    drop(to);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{args:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Every format, separator and mark says the same, and is divided the same.
#[test]
fn the_same_rows_in_every_format() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    let rows = reviews(60);
    let objects: Vec<Value> = rows
        .iter()
        .map(|(text, label)| json!({"review": text, "sentiment": label}))
        .collect();
    let list = serde_json::to_string_pretty(&objects).expect("JSON");
    for (name, text) in [
        ("comma.csv", csv(&rows, ',')),
        ("semicolon.csv", format!("\u{feff}{}", csv(&rows, ';'))),
        ("excel.CSV", format!("sep=;\r\n{}", csv(&rows, ';'))),
        ("tabs.tsv", csv(&rows, '\t')),
        ("lines.jsonl", json_lines(&rows)),
        ("list.json", list),
    ] {
        fs::write(here(name), text).expect("written");
    }
    fs::create_dir(here("folder")).expect("made");
    fs::copy(here("comma.csv"), here("folder/export.csv")).expect("copied");
    let look = |data: &str| {
        let mut report = run_json(
            dir.path(),
            &[&["data", data, "--json"], &COLUMNS[..]].concat(),
        );
        let fields = report.as_object_mut().expect("an object");
        for of_the_file in ["data", "task", "format", "separator"] {
            fields.remove(of_the_file);
        }
        report
    };
    let first = look("comma.csv");
    assert_eq!(first["shares"], "0.8/0.1/0.1");
    let rows_of = |k: usize| first["splits"][k]["rows"].as_u64().expect("a number");
    assert_eq!(rows_of(0) + rows_of(1) + rows_of(2), 60);
    assert_eq!(
        first["prompt"]
            .as_str()
            .map(|text| text.contains("\"fine\";\nall of it\nsentiment: positive")),
        Some(true)
    );
    for data in [
        "semicolon.csv",
        "excel.CSV",
        "tabs.tsv",
        "lines.jsonl",
        "list.json",
        "folder",
    ] {
        assert_eq!(look(data), first, "{data}");
    }
    let piped = with_input(
        dir.path(),
        &[&["data", "-", "--json"], &COLUMNS[..]].concat(),
        &csv(&rows, ';'),
    );
    assert_eq!(
        (&piped["splits"], &piped["separator"]),
        (&first["splits"], &json!(";"))
    );
    // no columns: the file as it is
    let alone = run_json(dir.path(), &["data", "lines.jsonl", "--json"]);
    assert_eq!(alone["splits"][0]["rows"], 60);
    assert_eq!(alone["fields"][0]["kind"], "texts");
    let words = run(dir.path(), &["data", "tabs.tsv"]);
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(
        words.contains("CSV, tabs between the cells") && words.contains("--text and --label"),
        "{words}"
    );
}

/// The settings that the rows were read with are those of the run: it is the same again, and resumed, and its weights know
/// what they are for.
#[test]
fn a_run_knows_its_columns() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    fs::write(here("reviews.csv"), csv(&reviews(120), ',')).expect("written");
    refused(
        dir.path(),
        &["train", "--model", "embedded", "--data", "reviews.csv"],
        &[
            "--data",
            "say what the rows are about",
            "--text and --label",
        ],
    );
    let train = [
        "train",
        "--json",
        "--model",
        "embedded",
        "--data",
        "reviews.csv",
        "--steps",
        "4",
        "--eval-every",
        "2",
        "--batch-size",
        "4",
    ];
    let report = run_json(
        dir.path(),
        &[&train[..], &COLUMNS, &["--out", "run"]].concat(),
    );
    let counts = &report["counts"];
    let number = |key: &str| counts[key].as_u64().expect("a number");
    assert_eq!(
        number("train_rows") + number("dev_rows") + number("validation_rows"),
        120
    );
    assert_eq!(report["task"], "reviews");
    let config = fs::read_to_string(here("run/config.toml")).expect("settings");
    for line in ["text = \"review\"", "label = \"sentiment\""] {
        assert!(config.contains(line), "{config}");
    }
    let task = fs::read_to_string(here("run/best/task.toml")).expect("a task");
    assert!(
        task.contains("labels = [\"negative\", \"positive\"]"),
        "{task}"
    );
    // again, and longer
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
    assert_eq!(metrics(&here("again")), metrics(&here("run")));
    run_json(
        dir.path(),
        &["train", "--json", "--resume", "again", "--steps", "6"],
    );
    // the rows that were held back, without a word
    let eval = run_json(dir.path(), &["eval", "--json", "--model", "run/best"]);
    assert_eq!(eval["examples"], counts["validation_rows"]);
    assert_eq!(eval["accuracy"], report["accuracy_after"]);
    let dev = run_json(
        dir.path(),
        &["eval", "--json", "--model", "run", "--rows", "dev"],
    );
    assert_eq!(dev["examples"], counts["dev_rows"]);
    // other rows, all of them
    fs::write(here("new.jsonl"), json_lines(&reviews(7))).expect("written");
    let new = run_json(
        dir.path(),
        &[
            "eval",
            "--json",
            "--model",
            "run/best",
            "--data",
            "new.jsonl",
        ],
    );
    assert_eq!(new["examples"], 7);
    // of other rows in one file too a split is a part
    fs::write(here("more.jsonl"), json_lines(&reviews(90))).expect("written");
    let parts = ["train", "dev", "validation"].map(|rows| {
        let eval = ["eval", "--json", "--model", "run", "--data", "more.jsonl"];
        let part = run_json(dir.path(), &[&eval[..], &["--rows", rows]].concat());
        part["examples"].as_u64().expect("a number")
    });
    assert_eq!(parts.iter().sum::<u64>(), 90, "{parts:?}");
    assert!(parts.iter().all(|part| (1..89).contains(part)), "{parts:?}");
    // an export knows what the columns are as well, and names no place on this disk
    run(dir.path(), &["export", "run", "--out", "packed"]);
    let config = fs::read_to_string(here("packed/config.toml")).expect("settings");
    assert!(config.contains("data = \"reviews.csv\""), "{config}");
    let place = dir.path().to_str().expect("UTF-8");
    assert!(!config.contains(place), "{config}");
    let log = ["replay", "--log", "packed/trajectory.zog"];
    run(dir.path(), &[&log[..], &["--out", "rebuilt"]].concat());
    let rebuilt = ["predict", "--json", "--model", "rebuilt"];
    let answered = run_json(
        dir.path(),
        &[
            &rebuilt[..],
            &["--data", "new.jsonl", "--out", "answered.jsonl"],
        ]
        .concat(),
    );
    assert_eq!(answered["rows"], 7, "{answered}");
    // what the columns are is known of the run
    for folder in ["run", "run/best"] {
        let seen = run_json(
            dir.path(),
            &["data", "more.jsonl", "--json", "--model", folder],
        );
        assert_eq!(seen["task"], "reviews", "{seen}");
        assert_eq!(
            seen["splits"][0]["labels"].as_array().map(Vec::len),
            Some(2)
        );
        // which is said, unless it was given
        let said = |more: &[&str]| {
            let args = [&["data", "more.jsonl", "--model", folder], more].concat();
            let notes = run(dir.path(), &args).stderr;
            String::from_utf8_lossy(&notes).contains("best/task.toml")
        };
        assert!(said(&[]) && !said(&COLUMNS), "{folder}");
    }
    // rows whose file has another name are the same rows
    fs::rename(here("reviews.csv"), here("renamed.csv")).expect("renamed");
    let resume = ["train", "--json", "--resume", "again", "--steps", "7"];
    let longer = run_json(
        dir.path(),
        &[&resume[..], &["--data", "renamed.csv"]].concat(),
    );
    assert_eq!(longer["task"], "reviews");
    let task = fs::read_to_string(here("again/best/task.toml")).expect("a task");
    assert!(task.contains("name = \"reviews\""), "{task}");
    // rows that were changed are not those of the run
    fs::write(here("reviews.csv"), csv(&reviews(119), ',')).expect("written");
    refused(
        dir.path(),
        &["train", "--resume", "again", "--steps", "8"],
        &["--data", "the rows are not what the run began with"],
    );
    // an adapter knows it, too
    let lora = [
        "--tune",
        "lora",
        "--out",
        "lora",
        "--split",
        "0.9/0.1",
        "--verbalizer",
        "negative=bad,positive=great",
    ];
    let report = run_json(dir.path(), &[&train[..], &COLUMNS, &lora].concat());
    let eval = run_json(dir.path(), &["eval", "--json", "--model", "lora"]);
    assert_eq!(eval["examples"], report["counts"]["validation_rows"]);
    assert!(report["counts"].get("dev_rows").is_none());
}

/// A folder with a single file is that file: a run divides it, and its rows to test on are those that were held back.
#[test]
fn a_folder_with_one_file_is_that_file() {
    let dir = scratch();
    fs::create_dir(dir.path().join("reviews")).expect("a folder");
    fs::write(dir.path().join("reviews/all.csv"), csv(&reviews(120), ',')).expect("written");
    let train = [
        "train", "--json", "--model", "embedded", "--data", "reviews", "--steps", "1", "--out",
        "run",
    ];
    let report = run_json(dir.path(), &[&train[..], &COLUMNS].concat());
    let eval = run_json(dir.path(), &["eval", "--json", "--model", "run"]);
    assert_eq!(eval["examples"], report["counts"]["validation_rows"]);
    // of a model that knows nothing of the rows
    let parts = ["train", "dev", "validation"].map(|rows| {
        let eval = ["eval", "--json", "--model", "embedded", "--data", "reviews"];
        let eval = [&eval[..], &COLUMNS, &["--rows", rows]].concat();
        run_json(dir.path(), &eval)["examples"]
            .as_u64()
            .expect("a number")
    });
    let counts = ["train_rows", "dev_rows", "validation_rows"];
    assert_eq!(
        parts.map(Value::from),
        counts.map(|key| report["counts"][key].clone())
    );
    // nothing but looked at, it is not divided
    let seen = |place| run_json(dir.path(), &["data", place, "--json"]);
    assert_eq!(seen("reviews")["splits"], seen("reviews/all.csv")["splits"]);
}

/// The run of an adapter of a model on the hub, or of the built-in one, stands for its model's tokenizer.
#[test]
fn an_adapters_run_has_the_tokenizer_of_its_model() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    fs::write(here("reviews.csv"), csv(&reviews(60), ',')).expect("written");
    unpack(dir.path());
    // the hub's cache
    let hub = here("cache/models--us--tiny");
    fs::create_dir_all(hub.join("refs")).expect("a folder");
    fs::create_dir_all(hub.join("snapshots")).expect("a folder");
    fs::write(hub.join("refs/main"), "c0ffee").expect("written");
    fs::rename(here("model"), hub.join("snapshots/c0ffee")).expect("moved");
    let offline = |args: &[&str]| {
        let output = zograd(dir.path(), args)
            .env("HF_HUB_CACHE", here("cache"))
            .env("HF_HUB_OFFLINE", "1")
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        output.stdout
    };
    let prompts = ["prompts", "--data", "reviews.csv", "--limit", "1"];
    let shown = |tokenizer: &str, more: &[&str]| {
        offline(&[&prompts[..], &["--tokenizer", tokenizer], more].concat())
    };
    let first = shown("embedded", &COLUMNS);
    assert!(String::from_utf8_lossy(&first).contains("film"));
    for model in ["us/tiny", "embedded"] {
        let out = model.replace('/', "-");
        let train = [
            "train",
            "--model",
            model,
            "--data",
            "reviews.csv",
            "--tune",
            "lora",
            "--steps",
            "1",
            "--out",
            &out,
        ];
        offline(&[&train[..], &COLUMNS].concat());
        for folder in [out.clone(), format!("{out}/best")] {
            assert_eq!(shown(&folder, &[]), first, "{folder}");
        }
    }
}

/// Texts to write instead of classes.
#[test]
fn prompts_and_answers() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    let row = |k: usize| format!("what is {k}?\tnumber {k}\n");
    let rows: String = (0..60).map(row).collect();
    fs::write(here("faq.tsv"), format!("question\treply\n{rows}")).expect("written");
    let report = run_json(
        dir.path(),
        &[
            "train",
            "--json",
            "--model",
            "embedded",
            "--data",
            "faq.tsv",
            "--prompt",
            "question",
            "--answer",
            "reply",
            "--steps",
            "2",
            "--max-new-tokens",
            "8",
            "--out",
            "run",
        ],
    );
    assert!(report["f1_after"].is_number(), "{report}");
    unpack(dir.path());
    let shown = run_json(
        dir.path(),
        &[
            "prompts",
            "--json",
            "--limit",
            "1",
            "--rows",
            "train",
            "--form",
            "train",
            "--tokenizer",
            "model",
            "--data",
            "faq.tsv",
            "--template",
            "Q: {question}\\nA:",
            "--answer",
            "reply",
        ],
    );
    let text = shown["candidates"][0]["text"].as_str().expect("a text");
    assert!(
        text.starts_with("Q: what is ") && text.contains("?\nA: number "),
        "{text}"
    );
}

/// Texts that read like numbers are what they are in the rows.
#[test]
fn labels_may_be_texts_of_digits() {
    let dir = scratch();
    let label = |k: usize, names: [&str; 2]| names[k % 2].to_owned();
    let json: String = (0..40)
        .map(|k| {
            json!({"review": format!("film {k}"), "sentiment": label(k, ["0", "1"])}).to_string()
                + "\n"
        })
        .collect();
    fs::write(dir.path().join("rows.jsonl"), json).expect("written");
    for (file, names) in [
        ("zeros.csv", ["01", "02"]),
        ("signs.csv", ["+1", "-1"]),
        ("both.csv", ["007", "7"]),
    ] {
        let rows = (0..40).map(|k| format!("film {k},{}\n", label(k, names)));
        let rows: String = rows.collect();
        fs::write(dir.path().join(file), format!("review,sentiment\n{rows}")).expect("written");
    }
    for file in ["rows.jsonl", "zeros.csv", "signs.csv", "both.csv"] {
        let columns = ["--data", file, "--text", "review", "--label", "sentiment"];
        let eval = ["eval", "--json", "--model", "embedded"];
        let report = run_json(dir.path(), &[&eval[..], &columns].concat());
        assert!(report["loss"].is_number(), "{file}: {report}");
    }
}

#[test]
fn a_prompt_that_holds_the_answer_is_told() {
    let dir = scratch();
    fs::write(dir.path().join("rows.csv"), csv(&reviews(40), ',')).expect("written");
    unpack(dir.path());
    let said = |template: &str| {
        let rows = [
            "--data",
            "rows.csv",
            "--label",
            "sentiment",
            "--tokenizer",
            "model",
        ];
        let args = [
            &["prompts", "--limit", "1", "--template", template],
            &rows[..],
        ]
        .concat();
        run_text(dir.path(), &args).1
    };
    let told = "{sentiment} is the answer itself";
    assert!(said("{review} {sentiment}").contains(told));
    assert!(!said("{review} sentiment").contains(told));
}

#[test]
fn what_is_wrong_with_rows_is_said_in_a_line() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    let rows = csv(&reviews(40), ',');
    let long: String = (0..300).map(|k| format!("text {k},label {k}\n")).collect();
    for (name, bytes) in [
        ("good.csv", rows.clone().into_bytes()),
        ("one.csv", "review,sentiment\na,x\nb,x\nc,x\n".into()),
        ("many.csv", format!("review,sentiment\n{long}").into_bytes()),
        ("ragged.csv", "review,sentiment\na,x\nb, c,y\n".into()),
        (
            "open.csv",
            "review,sentiment\na,x\n\"b,y\nc,x\nd,y\n".into(),
        ),
        (
            "latin.csv",
            b"review,sentiment\ngr\xfcn,x\nblau,y\n".to_vec(),
        ),
        (
            "wide.csv",
            rows.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        ("twice.csv", "review,review\na,x\n".into()),
        ("empty.csv", b"".to_vec()),
        ("heads.csv", "review,sentiment\n".into()),
        ("blank.csv", "review,sentiment\na,x\n ,y\n".into()),
        ("table.xlsx", b"PK".to_vec()),
    ] {
        fs::write(here(name), bytes).expect("written");
    }
    let eval = |data: &'static str, more: &[&'static str]| {
        [&["eval", "--model", "embedded", "--data", data][..], more].concat()
    };
    for (data, parts) in [
        (
            "one.csv",
            &[
                "--label sentiment",
                "all 3 rows say \"x\"",
                "nothing to tell apart",
            ][..],
        ),
        (
            "many.csv",
            &[
                "--label sentiment",
                "more than 200 different values",
                "--answer",
            ],
        ),
        (
            "ragged.csv",
            &["ragged.csv:3", "3 cells and the first line 2"],
        ),
        ("open.csv", &["open.csv:3", "quotation mark", "not closed"]),
        ("latin.csv", &["latin.csv:2", "Windows-1252", "iconv"]),
        ("wide.csv", &["wide.csv", "UTF-16", "iconv"]),
        (
            "twice.csv",
            &["twice.csv:1", "two columns are called \"review\""],
        ),
        ("empty.csv", &["empty.csv", "no rows"]),
        ("heads.csv", &["heads.csv", "no rows"]),
        (
            "blank.csv",
            &["blank.csv:3", "nothing of this row", "review"],
        ),
        ("table.xlsx", &["table.xlsx is not read", "CSV"]),
        ("none.csv", &["none.csv is not there"]),
    ] {
        refused(dir.path(), &eval(data, &COLUMNS), parts);
    }
    for (more, parts) in [
        (
            &["--text", "reviw", "--label", "sentiment"][..],
            &["--text reviw", "did you mean \"review\"?"][..],
        ),
        (
            &["--text", "review", "--label", "mood"],
            &["--label mood", "the row has: review, sentiment"],
        ),
        (&["--text", "review"], &["--label"]),
        (&["--label", "sentiment"], &["--text is missing"]),
        (
            &["--text", "review", "--answer", "sentiment"],
            &["--prompt and --answer"],
        ),
        (&[], &["--text and --label", "--task"]),
        (
            &["--text", "review", "--label", "sentiment", "--task", "sst2"],
            &["--task sst2", "one of the two"],
        ),
        (
            &["--template", "{review", "--label", "sentiment"],
            &["--template", "a { without its }"],
        ),
        (
            &[
                "--text",
                "review",
                "--label",
                "sentiment",
                "--split",
                "0.9/0.2",
            ],
            &["--split", "make 1"],
        ),
        (
            &[
                "--text",
                "review",
                "--label",
                "sentiment",
                "--verbalizer",
                "positive=good",
            ],
            &["--verbalizer", "at least two"],
        ),
    ] {
        refused(dir.path(), &eval("good.csv", more), parts);
    }
    // the command is called as the setting is
    refused(
        dir.path(),
        &["data", "twice.csv"],
        &["--data: ", "twice.csv:1"],
    );
    // a column that no row has says so before it puts all rows into one split
    refused(
        dir.path(),
        &[
            "data",
            "good.csv",
            "--text",
            "reviw",
            "--label",
            "sentiment",
        ],
        &["\"reviw\" is missing", "did you mean \"review\"?"],
    );
    // no model, no rows
    refused(
        dir.path(),
        &[&["train", "--data", "good.csv"], &COLUMNS[..]].concat(),
        &["--model"],
    );
    refused(
        dir.path(),
        &[&["train", "--model", "embedded"], &COLUMNS[..]].concat(),
        &["--data"],
    );
}

/// Words that begin alike are said to do so.
#[test]
fn words_that_begin_alike_are_told() {
    let dir = scratch();
    let rows: String = (0..60)
        .map(|k| format!("film {k},{}\n", ["very good", "very bad"][k % 2]))
        .collect();
    fs::write(
        dir.path().join("rows.csv"),
        format!("review,sentiment\n{rows}"),
    )
    .expect("written");
    let train = [
        "train", "--model", "embedded", "--data", "rows.csv", "--steps", "1",
    ];
    let said = run(dir.path(), &[&train[..], &COLUMNS].concat());
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("\"very bad\" and \"very good\" begin with the same token"),
        "{said}"
    );
    let other = ["--verbalizer", "very good=great,very bad=terrible"];
    let said = run(dir.path(), &[&train[..], &COLUMNS, &other].concat());
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.contains("same token"), "{said}");
}
