//! Chats and instructions: learnt, measured, answered and looked at, and every wrong one in a line.

use crate::errors::refused;
use crate::support::{json, run, run_json, run_text, scratch, unpack};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TEMPLATE: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}\
                        {% if add_generation_prompt %}assistant:{% endif %}";

/// It takes longer than anybody waits.
const ENDLESS: &str =
    "{% for i in range(10000) %}{% for j in range(10000) %}{{ j }}{% endfor %}{% endfor %}";

/// The built-in model with a template, in `model`.
fn with_template(dir: &Path, template: &str) {
    unpack(dir);
    fs::write(dir.join("model/chat_template.jinja"), template).expect("written");
}

fn write(file: &Path, rows: impl IntoIterator<Item = Value>) {
    let lines: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    fs::write(file, lines.join("\n")).expect("written");
}

fn chat(k: usize) -> Value {
    json!({"messages": [
        {"role": "user", "content": format!("film {k}")},
        {"role": "assistant", "content": "great"},
        {"role": "user", "content": "sure?"},
        {"role": "assistant", "content": "good"},
    ]})
}

/// Of a run of a moment.
const FEW: [&str; 10] = [
    "--train-examples",
    "8",
    "--dev-examples",
    "4",
    "--test-examples",
    "2",
    "--batch-size",
    "4",
    "--max-new-tokens",
    "4",
];

/// The same in a scratch folder, beside sixty chats in `chats.jsonl`.
fn with_chats(template: &str) -> TempDir {
    let dir = scratch();
    with_template(dir.path(), template);
    write(&dir.path().join("chats.jsonl"), (0..60).map(chat));
    dir
}

const TRAIN: [&str; 18] = [
    "train",
    "--json",
    "--model",
    "model",
    "--data",
    "chats.jsonl",
    "--method",
    "adam",
    "--lr",
    "1e-3",
    "--steps",
    "120",
    "--eval-every",
    "120",
    "--batch-size",
    "8",
    "--out",
    "run",
];

#[test]
fn chats_are_learnt_measured_and_answered() {
    let dir = with_chats(TEMPLATE);
    let small = ["--max-new-tokens", "8"];
    let report = run_json(dir.path(), &[&TRAIN[..], &small].concat());
    assert_eq!(report["exact_match_before"], 0.0);
    assert_eq!(report["exact_match_after"], 1.0);
    let summary = json(&dir.path().join("run/summary.json"));
    assert_eq!(summary["settings"]["objective"], "teacher-forcing");
    // the weights know their task, and have the template
    let report = run_json(dir.path(), &["eval", "--json", "--model", "run"]);
    assert_eq!(
        (&report["task"], &report["exact_match"]),
        (&json!("chat"), &json!(1.0))
    );
    assert!(report["loss"].as_f64().is_some_and(|loss| loss < 0.5));

    let generate = ["generate", "--json", "--chat", "--model", "run/best"];
    let prompt = ["--prompt", "film 7", "--max-new-tokens", "8"];
    let written = run_json(dir.path(), &[&generate[..], &prompt].concat());
    assert_eq!(written["text"].as_str().map(str::trim), Some("great"));
    // it ends by itself
    assert_eq!(
        written["ids"].as_array().and_then(|ids| ids.last()),
        Some(&json!(2))
    );

    let asked = |k: usize| json!({"prompt": format!("film {k}")});
    let answered = json!({"messages": chat(3)["messages"]});
    write(&dir.path().join("new.jsonl"), [asked(1), answered]);
    let predict = [
        "predict",
        "--model",
        "run",
        "--data",
        "new.jsonl",
        "--out",
        "p.jsonl",
    ];
    run(dir.path(), &predict);
    let lines = fs::read_to_string(dir.path().join("p.jsonl")).expect("a file");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["prediction"], "great");
    assert_eq!(lines[1]["prediction"], "good");
    // messages are a text in JSON in Parquet and CSV, and are read as what they are
    for (from, to) in [
        ("new.jsonl", "p.parquet"),
        ("p.parquet", "p.csv"),
        ("p.csv", "q.jsonl"),
    ] {
        let predict = ["predict", "--model", "run", "--data", from, "--out", to];
        run(dir.path(), &predict);
    }
    let again = fs::read_to_string(dir.path().join("q.jsonl")).expect("a file");
    let again: Value = serde_json::from_str(again.lines().last().expect("a row")).expect("JSON");
    assert_eq!(
        ["prediction", "prediction_", "prediction__"].map(|name| &again[name]),
        ["good"; 3]
    );
}

/// Every kind of row is one text, and zeroth-order steps learn it.
#[test]
fn instructions_of_all_kinds_are_read() {
    let dir = scratch();
    with_template(dir.path(), TEMPLATE);
    let kinds: [fn(usize) -> Value; 4] = [
        |k| json!({"messages": [{"role": "user", "content": format!("film {k}")}, {"role": "assistant", "content": "ok"}]}),
        |k| json!({"conversations": [{"from": "human", "value": format!("film {k}")}, {"from": "gpt", "value": "ok"}]}),
        |k| json!({"instruction": format!("film {k}"), "input": "", "output": "ok"}),
        |k| json!({"prompt": format!("film {k}"), "completion": "ok"}),
    ];
    let mut texts = Vec::new();
    for kind in kinds {
        write(&dir.path().join("rows.jsonl"), (0..30).map(kind));
        let report = run_json(
            dir.path(),
            &[
                "data",
                "rows.jsonl",
                "--json",
                "--model",
                "model",
                "--split",
                "0.5/0.5",
            ],
        );
        texts.push(
            report["prompt"]
                .as_str()
                .map(|text| text.split(' ').next() == Some("user:")),
        );
        let chats = &report["splits"][0]["chats"];
        let n = chats["chats"].as_u64().expect("a number");
        assert_eq!(chats["turns"], 2 * n);
        assert_eq!(chats["answers"], n);
        assert!(
            chats["scored"]
                .as_u64()
                .is_some_and(|scored| scored >= 2 * n)
        );
        assert_eq!(report["splits"][0]["unreadable"], 0);
    }
    assert_eq!(texts, [Some(true); 4]);
    let train = [
        "train",
        "--json",
        "--model",
        "model",
        "--data",
        "rows.jsonl",
        "--steps",
        "3",
        "--out",
        "zo",
    ];
    let report = run_json(dir.path(), &[&train[..], &FEW].concat());
    assert!(report["loss_after"].as_f64().is_some_and(f64::is_finite));
}

#[test]
fn what_is_understood_and_cut_is_said() {
    let dir = with_chats(TEMPLATE);
    let (shown, _) = run_text(
        dir.path(),
        &[
            "data",
            "chats.jsonl",
            "--model",
            "model",
            "--max-length",
            "70",
        ],
    );
    assert!(
        shown.contains("chats,") && shown.contains("count in the loss"),
        "{shown}"
    );
    let eval = [
        "eval",
        "--model",
        "model",
        "--data",
        "chats.jsonl",
        "--max-length",
        "24",
        "--max-new-tokens",
        "4",
        "--test-examples",
        "4",
    ];
    let (_, said) = run_text(dir.path(), &eval);
    assert!(
        said.contains("the assistant's and count in the loss"),
        "{said}"
    );
    assert!(
        said.contains("were cut from the left") && said.contains("--max-length"),
        "{said}"
    );
    // a template that leaves old answers out
    let forgetful = "{% for m in messages %}{% if m.role == 'user' or loop.last %}{{ m.role }}: {{ m.content }}\n{% endif %}\
                     {% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
    fs::write(dir.path().join("t.jinja"), forgetful).expect("written");
    let given = ["--chat-template", "t.jinja"];
    let eval = [&eval[..5], &eval[7..], &given].concat();
    let (_, said) = run_text(dir.path(), &eval);
    assert!(
        said.contains("4 earlier turns of the assistant count in no loss"),
        "{said}"
    );
}

/// A template that fails at every chat is given up soon, and nobody is told of columns.
#[test]
fn a_template_that_never_ends_is_tried_three_times() {
    let dir = with_chats(ENDLESS);
    let data = ["data", "chats.jsonl", "--model", "model"];
    let report = run_json(dir.path(), &[&data[..], &["--json"]].concat());
    let train = &report["splits"][0];
    assert_eq!(
        (&train["tried"], &train["unreadable"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(report["task"], "chat");
    let (words, _) = run_text(dir.path(), &data);
    assert!(
        words.contains("train: 3 of ") && words.contains("same reason"),
        "{words}"
    );
    assert!(!words.contains("--text"), "{words}");
    // another template
    fs::write(dir.path().join("t.jinja"), TEMPLATE).expect("written");
    let template = ["--chat-template", "t.jinja"];
    let whole = run_json(dir.path(), &[&data[..], &template, &["--json"]].concat());
    assert_eq!(whole["splits"][0].get("tried"), None);
    let prompts = [
        "prompts",
        "--task",
        "chat",
        "--data",
        "chats.jsonl",
        "--tokenizer",
        "model",
    ];
    let prompts = [&prompts[..], &["--limit", "1"], &template].concat();
    let (shown, _) = run_text(dir.path(), &prompts);
    assert!(shown.contains("assistant: great"), "{shown}");
    // a chat alone cannot be divided
    write(&dir.path().join("one.jsonl"), [chat(0)]);
    let (one, _) = run_text(
        dir.path(),
        &[&["data", "one.jsonl"][..], &data[2..], &template].concat(),
    );
    assert!(
        one.contains("not enough to train on") && one.contains("--split"),
        "{one}"
    );
    assert!(one.contains("1 chat, 4 turns"), "{one}");
    // what a run refuses is named before one is begun
    let blank = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]});
    let asked = json!({"messages": [{"role": "user", "content": "a"}]});
    write(&dir.path().join("gaps.jsonl"), [chat(0), blank, asked]);
    let (gaps, _) = run_text(
        dir.path(),
        &[&["data", "gaps.jsonl"][..], &data[2..], &template].concat(),
    );
    for part in [
        "2 chats have no answer at the end",
        "gaps.jsonl:2: the last turn of the assistant is blank",
        "gaps.jsonl:3: the chat has no turn of the assistant",
    ] {
        assert!(gaps.contains(part), "{part}: {gaps}");
    }
}

#[test]
fn every_wrong_chat_is_a_line() {
    let dir = scratch();
    with_template(dir.path(), TEMPLATE);
    let rows = dir.path().join("chats.jsonl");
    let eval = ["eval", "--model", "model", "--data", "chats.jsonl"];
    let place = "chats.jsonl:2";
    for (row, part) in [
        (
            json!({"messages": [{"role": "user", "content": "a"}]}),
            "no turn of the assistant",
        ),
        (
            json!({"messages": [{"role": "bot", "content": "a"}, {"role": "assistant", "content": "b"}]}),
            "the role \"bot\"; the roles are system",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}),
            "ends with a turn of the user",
        ),
        (json!({"messages": []}), "has no messages"),
        (
            json!({"prompt": "", "response": "b"}),
            "nothing of this row",
        ),
        (json!({"text": "a"}), "it is no chat"),
    ] {
        write(&rows, [chat(0), row]);
        refused(dir.path(), &eval, &[place, part]);
    }
    write(&rows, [chat(0)]);
    let place = "chats.jsonl:1";
    let refusing = "{{ raise_exception('only a system may speak') }}";
    let doubling = "{% set ns = namespace(s='aa') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}x";
    let turning = "{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}";
    for (template, parts) in [
        (
            refusing,
            [place, "refuses this chat: only a system may speak"],
        ),
        (ENDLESS, [place, "does not end"]),
        (doubling, [place, "does not end"]),
        (
            "{{ nothing.at.all }}",
            [place, "the chat template fails: line 1"],
        ),
        (
            "{% if false %}a{% endif %}",
            [place, "an empty text of this chat"],
        ),
        (turning, [place, "{% generation %}"]),
        (
            "a\n{% for %}",
            ["chat_template.jinja", "cannot be read: line 2"],
        ),
    ] {
        fs::write(dir.path().join("model/chat_template.jinja"), template).expect("written");
        refused(dir.path(), &eval, &parts);
        let chat = ["generate", "--model", "model", "--chat", "--prompt", "a"];
        if !template.contains("length") {
            refused(dir.path(), &chat, &parts[1..]);
        }
    }
    fs::remove_file(dir.path().join("model/chat_template.jinja")).expect("removed");
    let missing = ["this model has no chat template", "--chat-template"];
    refused(dir.path(), &eval, &missing);
    refused(
        dir.path(),
        &["generate", "--model", "model", "--chat", "--prompt", "a"],
        &missing,
    );
    let absent = [&eval[..], &["--chat-template", "absent.jinja"]].concat();
    refused(dir.path(), &absent, &["--chat-template absent.jinja"]);
    fs::write(dir.path().join("t.jinja"), TEMPLATE).expect("written");
    let given = [&eval[..], &["--chat-template", "t.jinja"]].concat();
    write(&rows, (0..30).map(chat));
    for (more, parts) in [
        (["--bos-id", "2"], ["--bos-id 2", "what begins a chat"]),
        (["--shots", "1"], ["demonstrations", "--shots"]),
    ] {
        refused(dir.path(), &[&given[..], &more].concat(), &parts);
    }
    let sst2 = [
        "eval", "--task", "sst2", "--data", "data", "--model", "model",
    ];
    let sst2 = [&sst2[..], &["--chat-template", "t.jinja"]].concat();
    refused(dir.path(), &sst2, &["--chat-template", "has no chats"]);
}

/// A run keeps a copy of the template it was given: that the file is edited afterwards, or gone, changes nothing.
#[test]
fn a_run_keeps_the_template_that_it_was_given() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    unpack(dir.path());
    write(&here("chats.jsonl"), (0..60).map(chat));
    let train = [
        "train",
        "--json",
        "--model",
        "model",
        "--data",
        "chats.jsonl",
        "--chat-template",
        "t.jinja",
        "--steps",
        "2",
    ];
    for (tune, name) in [("lora", "small"), ("full", "whole")] {
        fs::write(here("t.jinja"), TEMPLATE).expect("written");
        let more = ["--tune", tune, "--out", name];
        let report = run_json(dir.path(), &[&train[..], &FEW, &more].concat());
        let eval = ["eval", "--json", "--model", name];
        let before = run_json(dir.path(), &eval);
        for copy in ["chat_template.jinja", "best/chat_template.jinja"] {
            let copy = fs::read_to_string(here(name).join(copy)).expect("a copy");
            assert_eq!(copy, TEMPLATE);
        }
        let note = fs::read_to_string(here(name).join("best/zograd.toml")).expect("a note");
        assert!(
            note.contains("chat-template = \"chat_template.jinja\""),
            "{note}"
        );

        fs::write(here("t.jinja"), "{{ nothing.at.all }}").expect("edited");
        let after = run_json(dir.path(), &eval);
        assert_eq!(after["loss"], before["loss"]);
        let chats = ["--data", "chats.jsonl", "--task", "chat"];
        run(dir.path(), &[&eval[..], &chats].concat());
        // the folder of the run or of its weights stands for the tokenizer
        for folder in [name.to_owned(), format!("{name}/best")] {
            let shown = [
                "prompts",
                "--data",
                "chats.jsonl",
                "--tokenizer",
                &folder,
                "--split",
                "0.5/0.5",
            ];
            let (shown, _) = run_text(dir.path(), &shown);
            assert!(shown.contains("assistant: great"), "{shown}");
            let seen = run_json(
                dir.path(),
                &["data", "chats.jsonl", "--json", "--model", &folder],
            );
            assert_eq!(seen["splits"][0]["unreadable"], 0, "{seen}");
        }
        // a replay has it as the run has
        let log = format!("{name}/trajectory.zog");
        let out = format!("{name}-again");
        let replay = ["replay", "--log", &log, "--model", "model", "--out", &out];
        run(dir.path(), &replay);
        let copy = fs::read_to_string(here(&out).join("chat_template.jinja")).expect("a copy");
        assert_eq!(copy, TEMPLATE);
        // and so has one that is gone on with
        fs::remove_file(here("t.jinja")).expect("removed");
        let longer = ["train", "--json", "--resume", name, "--steps", "3"];
        let longer = run_json(dir.path(), &longer);
        assert_eq!(longer["loss_before"], report["loss_before"]);
    }
}
