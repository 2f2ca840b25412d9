//! JSON lines, and the same rows as a list.

use crate::{read, trial};
use proptest::prelude::*;
use std::fs;
use zograd_hostile::{bytes as damage, json as json_damage};

/// A row of each shape that the tasks read.
const ROWS: [&str; 6] = [
    r#"{"sentence": "fine", "label": 1, "idx": 0}"#,
    r#"{"passage": "One. @highlight\nTwo.", "query": "A @placeholder fell.", "entities": ["stone", "tree"], "answers": ["tree"]}"#,
    r#"{"title": "T", "context": "C c.", "question": "Q?", "answers": {"text": ["C"], "answer_start": [0]}}"#,
    r#"{"premise": "P", "choice1": "a", "choice2": "b", "question": "cause", "label": 0}"#,
    r#"{"text": "It is it", "span1_text": "It", "span2_text": "it", "span1_index": 0, "span2_index": 2, "label": 1}"#,
    r#"{"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": [{"type": "text", "text": "A"}], "tool_calls": []}], "system": "S", "tools": [{}]}"#,
];

#[test]
fn damaged_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("validation.jsonl"), ROWS[0]).expect("written");
    let path = folder.path().join("train.jsonl");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        read(folder.path())
    };
    assert_eq!(read(ROWS.join("\n").as_bytes()), Ok(()));
    assert_eq!(read(format!("[{}]", ROWS.join(",\n")).as_bytes()), Ok(()));
    let lines = (0..ROWS.len(), any::<bool>()).prop_flat_map(|(which, is_list)| {
        json_damage::damaged(ROWS[which].as_bytes()).prop_map(move |line| {
            let mut lines = ROWS.map(|row| row.as_bytes().to_vec());
            lines[which] = line;
            match is_list {
                true => [b"[", &lines.join(&b',')[..], b"]"].concat(),
                false => lines.join(&b'\n'),
            }
        })
    });
    trial("JSON lines, values", 1500).run(lines, read);
    let whole = ROWS.join("\r\n").into_bytes();
    trial("JSON lines, bytes", 500).run(damage::damaged(whole), read);
}
