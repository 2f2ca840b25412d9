//! Tables of texts, and one file as several splits.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use zograd_direction::Seed;
use zograd_tasks::{DataError, Dataset, Opening, Row, Split, SplitSizes, Splits, tasks};

const ALL: [Split; 3] = [Split::Train, Split::Dev, Split::Validation];

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("written");
}

fn one(folder: &Path, text: &str) -> Result<Vec<Row>, String> {
    write(folder, "rows.csv", text);
    let opening = Opening {
        splits: &[Split::Train],
        ..Opening::default()
    };
    let read = || -> Result<Vec<Row>, DataError> {
        Dataset::open_as(folder.join("rows.csv"), &opening)?.range(Split::Train, 0..100)
    };
    read().map_err(|error| {
        error
            .to_string()
            .replace(&folder.display().to_string(), "F")
    })
}

#[test]
fn cells_are_texts_that_may_stand_for_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = one(
        folder.path(),
        "\u{feff} sentence |label|x y\r\n\"a | \"\"b\"\"\r\nc\"|1|\n\nd| 0 |007\n",
    );
    let rows = rows.expect("rows");
    let texts: Vec<&str> = rows
        .iter()
        .map(|row| row.text("sentence").expect("a text"))
        .collect();
    assert_eq!(texts, ["a | \"b\"\nc", "d"]);
    let labels: Vec<usize> = rows
        .iter()
        .map(|row| row.label("label", 2).expect("a label"))
        .collect();
    assert_eq!(labels, [1, 0]);
    assert_eq!(rows[1].text("x y").expect("a text"), "007");
    assert!(
        rows[1].location().ends_with("rows.csv:5"),
        "{}",
        rows[1].location()
    );
    // as a task that is built in reads them
    let sst2 = tasks::by_name("sst2").expect("built in");
    assert_eq!(sst2.sample(&rows[0]).expect("a sample").correct, [1]);
    let error = sst2.sample(&one(folder.path(), "sentence,label\na,b\n").expect("rows")[0]);
    assert!(
        error
            .expect_err("a word")
            .to_string()
            .contains("must be a whole number, not a text")
    );
}

#[test]
fn names_stand_in_the_first_line() {
    let folder = tempfile::tempdir().expect("a folder");
    // pandas writes the number of a row without a name
    let rows = one(folder.path(), ",text\n0,a\n").expect("rows");
    let names: Vec<&String> = rows[0].fields().keys().collect();
    assert_eq!(names, ["column 1", "text"]);
    for (text, error) in [
        (
            "a,b,a\n1,2,3\n",
            "F/rows.csv:1: two columns are called \"a\" in the first line; rename one of them",
        ),
        (
            "a,b\n1,2\n3\n",
            "F/rows.csv:3: the row has 1 cell and the first line 2",
        ),
        ("sep=;\na;b\n1;2;3\n", "F/rows.csv:3: the row has 3 cells"),
        ("a,b\n1,\"2\n3,4\n5,6\n", "F/rows.csv:2: a quotation mark"),
    ] {
        let found = one(folder.path(), text).expect_err(text);
        assert!(found.starts_with(error), "{found}");
    }
}

/// A row is in the split that its text says, whatever stands around it.
#[test]
fn rows_stay_in_their_split_when_others_are_added() {
    let folder = tempfile::tempdir().expect("a folder");
    let by = ["text".to_owned()];
    let splits = |numbers: &[usize], extra: &str| -> BTreeMap<String, Split> {
        let row = |k: &usize| format!("{{\"text\": \"text {k}\", \"n\": {k}{extra}}}\n");
        let lines: String = numbers.iter().map(row).collect();
        write(folder.path(), "rows.jsonl", &lines);
        let opening = Opening {
            splits: &[Split::Train, Split::Validation],
            by: &by,
            ..Opening::default()
        };
        let data = Dataset::open_as(folder.path().join("rows.jsonl"), &opening).expect("rows");
        let mut found = BTreeMap::new();
        for split in ALL {
            let count = data.count(split).expect("rows");
            let rows = data.range(split, 0..count).expect("rows");
            for (k, row) in rows.iter().enumerate() {
                assert_eq!(row.number(), k);
                found.insert(row.text("text").expect("a text").to_owned(), split);
            }
        }
        assert_eq!(found.len(), numbers.len());
        found
    };
    let before = splits(&(0..200).collect::<Vec<_>>(), "");
    let mut more: Vec<usize> = (0..300).rev().collect();
    more.rotate_left(17);
    let after = splits(&more, ", \"new\": 1");
    assert!(before.iter().all(|(text, split)| after[text] == *split));
}

/// Development examples come from their own split, and training gets all of its own.
#[test]
fn a_third_share_is_for_development() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines: String = (0..500).map(|k| format!("text {k},{}\n", k % 2)).collect();
    write(
        folder.path(),
        "rows.csv",
        &format!("sentence,label\n{lines}"),
    );
    let sizes = SplitSizes::default();
    let load = |shares: &str| {
        let opening = Opening {
            splits: &[Split::Train, Split::Validation],
            shares: Some(shares.parse().expect("shares")),
            by: &[],
        };
        let data = Dataset::open_as(folder.path(), &opening).expect("rows");
        let task = tasks::by_name("sst2").expect("built in");
        Splits::load(task, &data, sizes, Seed::new(0)).expect("samples")
    };
    let three = load("0.6/0.2/0.2");
    assert_eq!(three.train.len(), three.counts.train_rows);
    assert_eq!(Some(three.dev.len()), three.counts.dev_rows);
    assert_eq!(three.train.len() + three.dev.len() + three.test.len(), 500);
    let texts = |samples: &[zograd_tasks::Sample]| -> Vec<String> {
        samples
            .iter()
            .map(|sample| sample.cloze.context.clone())
            .collect()
    };
    let train = texts(&three.train);
    assert!(texts(&three.dev).iter().all(|text| !train.contains(text)));
    let two = load("0.6/0.4");
    assert_eq!(two.counts.dev_rows, None);
    assert_eq!(two.train.len() + two.dev.len(), two.counts.train_rows);
}

#[test]
fn what_is_divided_already_is_not_divided() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["train.csv", "test.csv"] {
        write(folder.path(), name, "text\na\n");
    }
    let opening = Opening {
        splits: &[Split::Train, Split::Validation],
        shares: Some("0.9/0.1".parse().expect("shares")),
        by: &[],
    };
    let error = Dataset::open_as(folder.path(), &opening)
        .expect_err("both are there")
        .to_string();
    assert!(
        error.contains("has a train and a validation split already"),
        "{error}"
    );
    fs::remove_file(folder.path().join("test.csv")).expect("removed");
    let error = Dataset::open_as(folder.path(), &opening)
        .expect_err("one row")
        .to_string();
    assert!(
        error.starts_with("of the rows of") && error.contains("(1 in all)"),
        "{error}"
    );
}
