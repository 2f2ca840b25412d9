//! Folders of JSON lines: what is found, what is read, and what is said about what is wrong.

use std::fs;
use std::path::Path;
use tempfile::TempDir;
use zograd_tasks::{DataError, Dataset, Split};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

fn open(folder: &TempDir) -> Dataset {
    Dataset::open(folder.path()).expect("a data set")
}

fn texts(data: &Dataset, split: Split, numbers: &[usize]) -> Vec<String> {
    let rows = data.rows(split, numbers).expect("rows");
    assert!(
        rows.iter()
            .map(|row| row.number())
            .eq(numbers.iter().copied())
    );
    let text = rows.iter().map(|row| row.text("t").expect("a text"));
    text.map(str::to_owned).collect()
}

fn message<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

const ABC: &str = "{\"t\": \"a\"}\n{\"t\": \"b\"}\n{\"t\": \"c\"}\n";

#[test]
fn rows_come_in_the_order_asked_for() {
    let folder = folder(&[("train.jsonl", ABC), ("validation.json", ABC)]);
    let data = open(&folder);
    assert_eq!(
        data.files(Split::Train),
        [folder.path().join("train.jsonl")]
    );
    assert_eq!(
        data.files(Split::Validation),
        [folder.path().join("validation.json")]
    );
    assert_eq!(data.count(Split::Train).expect("rows"), 3);
    assert_eq!(texts(&data, Split::Train, &[2, 0]), ["c", "a"]);
    assert_eq!(texts(&data, Split::Validation, &[1, 1]), ["b", "b"]);
    let range = |range| data.range(Split::Train, range).expect("rows").len();
    assert_eq!((range(1..2), range(1..usize::MAX), range(7..9)), (1, 2, 0));
}

#[test]
fn the_subfolder_data_is_looked_into_second() {
    let in_data = folder(&[("data/train.jsonl", ABC), ("data/validation.jsonl", ABC)]);
    assert_eq!(
        open(&in_data).files(Split::Train),
        [in_data.path().join("data/train.jsonl")]
    );
    let both = folder(&[
        ("validation.json", ABC),
        ("train.json", ABC),
        ("data/train.jsonl", ABC),
    ]);
    assert_eq!(
        open(&both).files(Split::Train),
        [both.path().join("train.json")]
    );
}

#[test]
fn blank_lines_marks_and_missing_ends_do_no_harm() {
    let odd = "\u{feff}{\"t\": \"a\"}\r\n\n  \r\n{\"t\": \"b\"}";
    let folder = folder(&[("train.jsonl", odd), ("validation.jsonl", ABC)]);
    let data = open(&folder);
    assert_eq!(data.count(Split::Train).expect("rows"), 2);
    assert_eq!(texts(&data, Split::Train, &[0, 1]), ["a", "b"]);
    let rows = data.rows(Split::Train, &[1]).expect("a row");
    // the row counts rows, the location counts lines
    assert!(
        rows[0].location().ends_with("train.jsonl:4"),
        "{}",
        rows[0].location()
    );
}

#[test]
fn lines_that_nobody_asked_for_are_not_parsed() {
    let data = Dataset::from_json_lines("memory", "{\"t\": \"a\"}\nnot JSON\n{\"t\": \"c\"}", ABC);
    assert_eq!(texts(&data, Split::Train, &[0, 2]), ["a", "c"]);
    assert!(data.files(Split::Train).is_empty());
    let text = message(data.rows(Split::Train, &[1]));
    assert!(text.starts_with("memory/train:2: not valid JSON"), "{text}");
}

#[test]
fn a_missing_folder_or_file_says_what_was_looked_for() {
    let text = message(Dataset::open("/no/such/folder"));
    assert!(text.starts_with("/no/such/folder is not there"), "{text}");
    let folder = folder(&[("train.jsonl", ABC)]);
    let text = message(Dataset::open(folder.path()));
    assert_eq!(
        text,
        format!(
            "{} has no validation split: looked for validation.jsonl, validation.json, \
             validation.csv, validation.tsv, validation.parquet, validation-00000-of-00001.parquet, validation/0000.parquet, there and in its \
             subfolder data",
            folder.path().display()
        )
    );
    let file = folder.path().join("rows.doc");
    std::fs::write(&file, "").expect("written");
    assert!(message(Dataset::open(file)).contains("is not read: rows may be CSV"));
}

#[test]
fn bad_lines_are_named() {
    let said = |line: &str| {
        let folder = folder(&[
            ("train.jsonl", &format!("{{\"t\": \"a\"}}\n{line}\n")),
            ("validation.jsonl", ABC),
        ]);
        let text = message(open(&folder).rows(Split::Train, &[0, 1]));
        let file = folder.path().join("train.jsonl");
        let (path, rest) = text.split_at(file.display().to_string().len());
        assert_eq!(Path::new(path), file);
        rest.to_owned()
    };
    assert!(
        said("{\"t\": ").starts_with(":2: not valid JSON (one object a line is expected): EOF")
    );
    assert_eq!(
        said("[{\"t\": \"a\"}]"),
        ":2: a row must be a JSON object, not a list"
    );
    let unpaired = said("{\"t\": \"\\ud800\"}");
    assert!(unpaired.starts_with(":2: not valid JSON"), "{unpaired}");
    let deep = said(&"[".repeat(100_000));
    assert!(deep.contains("recursion limit exceeded"), "{deep}");
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let folder = folder(&[("validation.jsonl", ABC)]);
    fs::write(folder.path().join("train.jsonl"), b"{\"t\": \"\xff\"}\n").expect("a file");
    let text = message(open(&folder).rows(Split::Train, &[0]));
    assert!(text.contains("train.jsonl:1: it is no UTF-8"), "{text}");
}

#[test]
fn an_empty_split_and_a_row_behind_the_end_are_errors() {
    let folder = folder(&[("train.jsonl", "\n \n"), ("validation.jsonl", ABC)]);
    let data = open(&folder);
    let name = folder.path().display();
    let empty = format!("the train split of {name} has no rows");
    assert_eq!(message(data.count(Split::Train)), empty);
    assert_eq!(message(data.range(Split::Train, 0..1)), empty);
    assert_eq!(
        message(data.rows(Split::Validation, &[1, 3])),
        format!(
            "the validation split of {name} has 3 rows, so there is no row 3 (they count from 0)"
        )
    );
}

/// As `json.dump` and pandas write a table.
#[test]
fn a_list_of_objects_is_read_as_rows() {
    let list = "\u{feff}\n[{\"t\": \"a\"},\n {\"t\": \"b\"}, [1],\n\n {\"t\": \"c\"}]\n";
    let folder = folder(&[("train.json", list), ("validation.json", "[]")]);
    let data = open(&folder);
    assert_eq!(data.count(Split::Train).expect("four rows"), 4);
    assert_eq!(texts(&data, Split::Train, &[3, 0]), ["c", "a"]);
    let rows = data.rows(Split::Train, &[3]).expect("a row");
    let file = folder.path().join("train.json");
    assert_eq!(rows[0].location(), format!("{} row 3", file.display()));
    assert_eq!(
        message(data.rows(Split::Train, &[2])),
        format!(
            "{} row 2: a row must be a JSON object, not a list",
            file.display()
        )
    );
    assert!(message(data.count(Split::Validation)).contains("has no rows"));
}

/// As JSON lines, however the list is written.
#[test]
fn rows_of_a_list_keep_the_digits_of_their_numbers() {
    let list = "[1, {\"n\": 1.50},\n {\n  \"n\":\r\n  123456789012345678901,\n  \"t\": \"a , b\"\n }\n ,{\"n\": 3}]";
    let folder = folder(&[("train.json", list), ("validation.json", "[]")]);
    let rows = open(&folder).rows(Split::Train, &[1, 2, 3]).expect("rows");
    let written: Vec<_> = rows
        .iter()
        .map(|row| row.written().map(|text| &**text))
        .collect();
    let long = "{\"n\":123456789012345678901,\"t\": \"a , b\"}";
    assert_eq!(written, [None, Some(long), None]);
    let first = format!("[{long}]");
    let data = self::folder(&[("train.json", first.as_str()), ("validation.json", "[]")]);
    let rows = open(&data).rows(Split::Train, &[0]).expect("a row");
    assert_eq!(rows[0].written().map(|text| &**text), Some(long));
}

#[test]
fn a_list_that_is_no_json_says_where() {
    let long = format!("[{{\"t\": \"{}\"}}]", "x".repeat(17 << 20));
    for (text, part) in [
        ("[{\"t\": \"a\"},\n{\"t\" 3}]", "line 2 column 6"),
        ("[{\"t\": \"a\"}", "EOF while parsing"),
        (
            "[{\"t\": \"a\"}]\n{\"t\": \"b\"}",
            "trailing characters at line 2",
        ),
        (long.as_str(), "longer than 16777216 bytes"),
        ("[", "EOF while parsing"),
    ] {
        let folder = folder(&[("train.json", text), ("validation.jsonl", ABC)]);
        let error = message(open(&folder).rows(Split::Train, &[0]));
        let file = folder.path().join("train.json").display().to_string();
        assert!(error.starts_with(&file) && error.contains(part), "{error}");
    }
}

#[test]
fn a_split_that_is_not_asked_for_need_not_be_there() {
    let folder = folder(&[("validation.jsonl", ABC)]);
    let data = Dataset::open_splits(folder.path(), &[Split::Validation]).expect("it is there");
    assert_eq!(texts(&data, Split::Validation, &[1]), ["b"]);
    assert!(message(Dataset::open(folder.path())).contains("no train split"));
}
