//! tokenizer.json, and vocab.json with merges.txt.

use crate::trial;
use serde_json::json;
use std::fs;
use std::path::Path;
use zograd_hostile::{Seen, json as json_damage, text as text_damage};
use zograd_models::tokenizer;
use zograd_tasks::{Form, PromptEncoder, Row, tasks};

/// A tokenizer with every part that has numbers, lengths or patterns in it.
fn tokenizer_json() -> String {
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 2},
        "padding": {
            "strategy": {"Fixed": 4}, "direction": "Right", "pad_to_multiple_of": 8,
            "pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"
        },
        "added_tokens": [
            {"id": 1, "content": "<pad>", "single_word": false, "lstrip": false, "rstrip": false,
             "normalized": false, "special": true},
            {"id": 2, "content": "</s>", "single_word": true, "lstrip": true, "rstrip": true,
             "normalized": true, "special": true}
        ],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Prepend", "prepend": " "},
            {"type": "Replace", "pattern": {"Regex": "x+"}, "content": "b"},
            {"type": "Strip", "strip_left": true, "strip_right": false}
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "[ab]+"}, "behavior": "Isolated", "invert": false},
            {"type": "Digits", "individual_digits": true},
            {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}
        ]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "</s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}
        },
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            {"type": "Strip", "content": " ", "start": 1, "stop": 1}
        ]},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": true, "byte_fallback": true, "ignore_merges": true,
            "vocab": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "\u{120}": 6, "ab": 7,
                "\u{120}a": 8, "aba": 9},
            "merges": [["a", "b"], ["\u{120}", "a"], ["ab", "a"]]
        }
    })
    .to_string()
}

/// Loads a tokenizer and uses it as the encoder of prompts does.
fn load(folder: &Path) -> Seen {
    let tokenizer = tokenizer::load(folder).map_err(|error| {
        let text = error.to_string();
        let place = folder.to_str().expect("UTF-8");
        assert!(text.contains(place), "{text}");
        text
    })?;
    let encoder = PromptEncoder::new(tokenizer).map_err(|error| error.to_string())?;
    let task = tasks::by_name("sst2").map_err(|error| error.to_string())?;
    let fields = json!({"sentence": "abba xx </s> 12 \u{e9}\u{1f600}", "label": 1});
    let fields = fields.as_object().expect("an object").clone();
    let sample = task
        .sample(&Row::new(0, "train.jsonl:1", fields))
        .expect("a row");
    let prompt = encoder.encode(task, &sample, Form::Train);
    prompt.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn damaged_tokenizers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    let original = tokenizer_json();
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        load(folder.path())
    };
    assert_eq!(read(original.as_bytes()), Ok(()));
    trial("tokenizer.json", 1500).run(json_damage::damaged(original.as_bytes()), read);
}

#[test]
fn damaged_vocabularies_and_merges() {
    let vocab =
        r#"{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "ab": 6, "aba": 7}"#;
    let merges = "#version: 0.2\na b\nab a\n";
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).expect("written");
    };
    write("vocab.json", vocab.as_bytes());
    write("merges.txt", merges.as_bytes());
    assert_eq!(load(folder.path()), Ok(()));
    trial("vocab.json", 750).run(json_damage::damaged(vocab.as_bytes()), |bytes| {
        write("vocab.json", bytes);
        load(folder.path())
    });
    write("vocab.json", vocab.as_bytes());
    trial("merges.txt", 750).run(text_damage::damaged(merges.as_bytes()), |bytes| {
        write("merges.txt", bytes);
        load(folder.path())
    });
}
