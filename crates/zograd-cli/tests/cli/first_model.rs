//! The first chapter of the book: all its commands as they stand there.

use crate::support::scratch;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The shell's blocks of a page.
fn commands(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split_once("```"));
    blocks.map(|(commands, _)| commands).collect()
}

#[test]
fn the_first_chapter_can_be_typed_in() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src");
    let page = fs::read_to_string(book.join("first-model.md")).expect("the page");
    let commands = commands(&page);
    assert!(commands.matches("zograd ").count() >= 7, "{commands}");
    // the repository's folder, as far as the page needs it
    let dir = scratch();
    let examples = dir.path().join("docs/src/examples");
    fs::create_dir_all(&examples).expect("made");
    for file in ["reviews.csv", "new.csv", "replies.jsonl", "turns.jinja"] {
        fs::copy(book.join("examples").join(file), examples.join(file)).expect("copied");
    }
    let bin = Path::new(env!("CARGO_BIN_EXE_zograd"))
        .parent()
        .expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-e", "-u", "-c", &commands])
        .current_dir(dir.path());
    shell
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("NO_COLOR", "1");
    let output = shell.output().expect("a shell");
    let (said, told) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(said);
    assert!(output.status.success(), "{told}\n{said}");
    // what the page shows of them comes out, but for times and places
    for shown in [
        "divided 0.8/0.1/0.1",
        "the first prompt",
        "my-model/best on reviews: accuracy",
        "test accuracy",
        "best weights",
        "id,review,prediction,probability_negative,probability_positive",
        "191 of them the assistant's",
        "my-chat/best on chat: f1",
    ] {
        assert!(said.contains(shown), "no {shown:?} in:\n{said}");
    }
    let answers = fs::read_to_string(dir.path().join("first/labelled.csv")).expect("answers");
    let right = ["negative", "positive", "negative", "positive", "negative"];
    for (line, right) in answers.lines().skip(1).zip(right) {
        assert!(line.contains(&format!(",{right},")), "{line}");
    }
    assert_eq!(answers.lines().count(), 7);
    // of the chats, too, the model has learnt what to answer
    let answers = fs::read_to_string(dir.path().join("first/answered.jsonl")).expect("answers");
    let rows = answers
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a row"));
    let right = rows.filter(|row| row["prediction"] == row["messages"][1]["content"]);
    let right = right.count();
    assert!(right >= 216, "{right} of 240");
}
