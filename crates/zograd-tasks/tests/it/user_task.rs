//! Task files: what they can say, and what is told about mistakes in them.

use std::path::Path;
use zograd_tasks::metrics::Metric;
use zograd_tasks::{AnswerEnd, Row, Task, TaskFileError, UserTask};

const CHOICE: &str = r#"
template = "{text}\nKind:"
candidates = [" {a}", " other"]
label = "right"
"#;

fn parse(text: &str) -> Result<UserTask, TaskFileError> {
    UserTask::parse(Path::new("folder/mine.toml"), text)
}

fn row(json: &str) -> Row {
    let fields = serde_json::from_str(json).expect("an object");
    Row::new(4, "train.jsonl:5", fields)
}

#[test]
fn candidates_may_have_fields_and_labels_any_values() {
    let task = parse(CHOICE).expect("a task");
    assert_eq!((task.name(), task.metric()), ("mine", Metric::Accuracy));
    assert!(!task.is_generation());
    let sample = task
        .sample(&row(r#"{"text": "T", "a": "A", "right": 1}"#))
        .expect("a sample");
    assert_eq!(sample.cloze.context, "T\nKind:");
    assert_eq!(sample.cloze.endings, [" A", " other"]);
    assert_eq!((sample.row, sample.correct), (4, vec![1]));
    assert_eq!(sample.calibration, None);

    let text = CHOICE.to_owned() + "labels = [true, \"no\"]\ncalibration = \"Kind:\"\nname = \"x\"";
    let task = parse(&text).expect("a task");
    let sample = |right: &str| {
        let json = format!(r#"{{"text": "T", "a": "A", "right": {right}}}"#);
        task.sample(&row(&json))
    };
    assert_eq!(sample("true").expect("a sample").correct, [0]);
    let no = sample("\"no\"").expect("a sample");
    assert_eq!(no.correct, [1]);
    assert_eq!(no.calibration.expect("a calibration").context, "Kind:");
    assert_eq!(
        sample("\"yes\"").expect_err("no label").to_string(),
        "train.jsonl:5: field \"right\" is \"yes\", but must be one of true, \"no\""
    );
}

#[test]
fn answers_are_a_text_or_a_list() {
    let task = parse("template = \"{q}\\nA:\"\nanswer = \"gold.text\"\nmetric = \"exact-match\"");
    let task = task.expect("a task");
    assert!(task.is_generation());
    assert_eq!(task.metric(), Metric::ExactMatch);
    for (gold, answers) in [("\"x\"", vec!["x"]), ("[\"x\", \"y\"]", vec!["x", "y"])] {
        let json = format!(r#"{{"q": "Q", "gold": {{"text": {gold}}}}}"#);
        let sample = task.sample(&row(&json)).expect("a sample");
        assert_eq!(sample.cloze.endings, [" x\n"]);
        assert_eq!(sample.answers, answers);
    }
    let empty = task.sample(&row(r#"{"q": "Q", "gold": {"text": []}}"#));
    assert!(
        empty
            .expect_err("no answer")
            .to_string()
            .contains("train.jsonl:5")
    );
}

#[test]
fn answers_of_several_lines_end_with_the_text() {
    let text = "template = \"{q}\"\nanswer = \"a\"\n";
    let task = parse(text).expect("a task");
    assert_eq!(task.answer_end(), AnswerEnd::Line);
    let several = row(r#"{"q": "Q", "a": "1. Open.\n2. Read.\n"}"#);
    assert_eq!(
        task.sample(&several).expect_err("two lines").to_string(),
        "train.jsonl:5: the answer in field \"a\" has a line break, at which answers end: write end = \"eos\" into \
         folder/mine.toml, so that they end with the model's end-of-text token instead"
    );
    // also one that is not trained on: it could never be written
    let second = row(r#"{"q": "Q", "a": ["x", "y\nz"]}"#);
    assert!(task.sample(&second).is_err());
    // what is at the ends is no part of an answer
    let padded = task.sample(&row(r#"{"q": "Q", "a": "\n x\r\n"}"#));
    assert_eq!(padded.expect("one line").cloze.endings, [" x\n"]);

    let task = parse(&format!("{text}end = \"eos\"")).expect("a task");
    assert_eq!(task.answer_end(), AnswerEnd::Eos);
    let sample = task.sample(&several).expect("two lines");
    assert_eq!(sample.cloze.endings, [" 1. Open.\n2. Read."]);
    assert_eq!(sample.answers, ["1. Open.\n2. Read."]);
}

#[test]
fn labels_in_words_need_labels() {
    let task = parse(CHOICE).expect("a task");
    let error = task.sample(&row(r#"{"text": "T", "a": "A", "right": "billing"}"#));
    assert_eq!(
        error.expect_err("a text").to_string(),
        "train.jsonl:5: field \"right\" is the text \"billing\": say in folder/mine.toml which text goes with which \
         candidate, in their order: labels = [\"billing\", ...]"
    );
}

#[test]
fn a_row_without_a_label_is_a_question() {
    let labelled = format!("{CHOICE}labels = [\"x\", \"y\"]");
    let task = parse(&labelled).expect("a task");
    assert_eq!(task.option_names().expect("labels"), ["x", "y"]);
    let choice = row(r#"{"text": "T", "a": "A"}"#);
    assert!(task.sample(&choice).is_err() && task.check_fields(&choice).is_err());
    let choice = choice.label_optional();
    task.check_fields(&choice).expect("the others are there");
    let sample = task.sample(&choice).expect("a question");
    assert_eq!((sample.correct.len(), sample.cloze.endings.len()), (0, 2));

    let task = parse("template = \"{q}\"\nanswer = \"a\"").expect("a task");
    let sample = task.sample(&row(r#"{"q": "Q", "a": null}"#).label_optional());
    let sample = sample.expect("a question");
    assert!(sample.correct.is_empty() && sample.answers.is_empty());
    assert_eq!(sample.cloze.context, "Q");
}

#[test]
fn candidates_that_run_into_the_prompt_are_noted() {
    for (template, candidate, noted) in [
        ("It is about", "billing", Some("It is aboutbilling")),
        ("{text}", "billing", Some("{text}billing")),
        ("Kind:", "billing", Some("Kind:billing")),
        ("It is about", " billing", None),
        ("Kind: ", "billing", None),
        ("Kind (", "billing", None),
        ("{text}", "\\nKind: {a}", None),
        ("{text}", "{a}", None),
        ("{text}\u{306f}", "\u{8acb}\u{6c42}", None),
    ] {
        let text = format!(
            "template = \"{{text}}{template}\"\ncandidates = [\"{candidate}\", \" x\"]\nlabel = \"l\""
        );
        let notes = parse(&text).expect(&text).notes();
        match noted {
            Some(end) => assert!(notes[0].contains(end), "{notes:?}"),
            None => assert!(notes.is_empty(), "{notes:?}"),
        }
    }
}

#[test]
fn mistakes_are_named() {
    for (text, parts) in [
        ("template = ", &["line 1"][..]),
        ("\ntemplate = 3", &["line 2", "string"]),
        (
            "candidate = []",
            &["\"candidate\"", "did you mean \"candidates\"?"],
        ),
        ("labels = []", &["template: is missing"]),
        (
            "template = \"{a}\"",
            &["candidates: is missing", "\"answer\""],
        ),
        (
            "template = \"{a\"\nanswer = \"b\"",
            &["template: a { without"],
        ),
        (
            "template = \"\"\nanswer = \"b\"\ncandidates = [\"c\"]",
            &["not both"],
        ),
        (
            "template = \"\"\nanswer = \"b\"\nlabel = \"c\"",
            &["label: only"],
        ),
        (
            "template = \"\"\nanswer = \"b\"\nmetric = \"accuracy\"",
            &["metric", "f1 or exact-match"],
        ),
        (
            "template = \"\"\nanswer = \"b\"\nmetric = \"rouge\"",
            &["line 3", "exact-match"],
        ),
        (
            "template = \"\"\ncandidates = [\"c\"]\nlabel = \"l\"",
            &["at least two"],
        ),
        (
            "template = \"\"\ncandidates = [\"c\", \"c\"]\nlabel = \"l\"",
            &["\"c\"", "twice"],
        ),
        (
            "template = \"\"\ncandidates = [\"c\", \"d\"]",
            &["label: is missing"],
        ),
        (
            "template = \"\"\ncandidates = [\"c\", \"d\"]\nlabel = \"l\"\nlabels = [1]",
            &["labels: there are 1 for 2"],
        ),
        (
            "template = \"\"\ncandidates = [\"c\", \"d\"]\nlabel = \"l\"\nlabels = [1, 1]",
            &["labels: 1 stands there twice"],
        ),
        (
            "template = \"\"\ncandidates = [\"c\", \"d\"]\nlabel = \"l\"\nlabels = [1, [2]]",
            &["labels: [2]"],
        ),
        (
            "template = \"\"\ncandidates = [\"c\", \"d\"]\nlabel = \"l\"\nname = \"../x\"",
            &["name: \"../x\""],
        ),
        (
            "template = \"Kind:\"\ncandidates = [\" c\", \" d\"]\nlabel = \"l\"",
            &["template: it has no {field}"],
        ),
        (
            "template = \"\"\nanswer = \"b\"",
            &["template: it has no {field}"],
        ),
        (
            "template = \"{a}\"\nanswer = \"b\"\nend = \"paragraph\"",
            &["line 3", "eos"],
        ),
        (
            "template = \"{a}\"\ncandidates = [\" c\", \" d\"]\nlabel = \"l\"\nend = \"eos\"",
            &["end: only", "\"answer\""],
        ),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.starts_with("folder/mine.toml"), "{text}: {error}");
        for part in parts {
            assert!(error.contains(part), "{text}: no {part} in {error}");
        }
    }
}

#[test]
fn fields_the_rows_do_not_have_are_named_with_the_near_one() {
    let task = parse(CHOICE).expect("a task");
    let check = |json| task.check_fields(&row(json)).map_err(|e| e.to_string());
    assert_eq!(check(r#"{"text": "", "a": "", "right": 0}"#), Ok(()));
    let error = check(r#"{"texts": "", "a": "", "right": 0}"#).expect_err("no such field");
    let named =
        "folder/mine.toml: template: train.jsonl:5 has no field \"text\", did you mean \"texts\"?";
    assert!(error.starts_with(named), "{error}");
    let nested = parse("template = \"{doc.text}\"\nanswer = \"a\"").expect("a task");
    let error = nested.check_fields(&row(r#"{"doc": {"txt": "T"}, "a": "A"}"#));
    assert_eq!(
        error.expect_err("no such field").to_string(),
        "folder/mine.toml: template: train.jsonl:5 has no field \"doc.text\", did you mean \"doc.txt\"?; its fields are \
         doc, a; a dot leads to a field within a field, and \"doc\" has: txt"
    );
    for (json, key) in [
        (r#"{"text": "", "right": 0}"#, "candidates:"),
        (r#"{"text": "", "a": ""}"#, "label:"),
    ] {
        assert!(check(json).expect_err("missing").contains(key));
    }
}

/// Tables with gaps write their labels as `1.0`.
#[test]
fn a_label_is_the_same_however_it_is_written() {
    for labels in ["[0, 1]", "[0.0, 1.0]"] {
        let task = parse(&format!("{CHOICE}labels = {labels}")).expect("a task");
        for right in ["1", "1.0", "1e0"] {
            let json = format!(r#"{{"text": "T", "a": "A", "right": {right}}}"#);
            let sample = task.sample(&row(&json)).expect(right);
            assert_eq!(sample.correct, [1], "{labels}, {right}");
        }
        let error = task.sample(&row(r#"{"text": "T", "a": "A", "right": 1.5}"#));
        assert!(error.expect_err("none").to_string().contains("is \"1.5\""));
    }
}

/// As an editor on Windows saves it.
#[test]
fn a_task_file_may_have_a_byte_order_mark_and_carriage_returns() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    let text = "\u{feff}template = \"\"\"\n{text}\nKind:\"\"\"\ncandidates = [\" {a}\", \" b\"]\nlabel = \"right\"\n";
    std::fs::write(&file, text.replace('\n', "\r\n")).expect("written");
    let task = UserTask::read(&file).expect("a task");
    let sample = task.sample(&row(r#"{"text": "T", "a": "A", "right": 1}"#));
    assert_eq!(sample.expect("a sample").cloze.context, "T\nKind:");
}
