//! The table of the head, in every arrangement of files: stored under either name, under both, or as an alias.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::weights::{
    Tensors, expected, folder, load, prefixed, refused, sharded, tensors, write, write_with,
};

const TABLE: &str = "model.decoder.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// The fixture with its tables changed and `tie_word_embeddings` set.
fn with(tied: bool, aliases: &[(&str, &str)], change: impl FnOnce(&mut Tensors)) -> TempDir {
    let mut stored = prefixed(&expected(), "model.");
    change(&mut stored);
    let texts = aliases
        .iter()
        .map(|(alias, name)| (String::from(*alias), String::from(*name)));
    let texts: HashMap<String, String> = texts.collect();
    let folder = folder(|folder| {
        write_with(&stored, Some(texts), &folder.join("model.safetensors"));
    });
    tie(folder.path(), tied);
    folder
}

fn tie(folder: &Path, tied: bool) {
    let path = folder.join("config.json");
    let text = fs::read_to_string(&path).expect("read");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["tie_word_embeddings"] = tied.into();
    fs::write(path, config.to_string()).expect("written");
}

fn move_to_head(stored: &mut Tensors) {
    let table = stored.remove(TABLE).expect("a table");
    stored.insert(HEAD.to_owned(), table);
}

#[test]
fn a_tied_table_may_be_stored_as_the_head_alone() {
    for aliases in [&[][..], &[(TABLE, HEAD)]] {
        let folder = with(true, aliases, move_to_head);
        let (model, report) = load(folder.path()).expect("loads");
        assert_eq!(tensors(&model), expected());
        assert!(report.ignored.is_empty() && model.own_head().is_none());
    }
    // without a tie it is the head, and there is no table
    let folder = with(false, &[], move_to_head);
    assert!(refused(folder.path()).contains("no tensor decoder.embed_tokens.weight"));
}

#[test]
fn a_head_of_its_own_may_be_an_alias() {
    for (alias, name, change) in [
        (TABLE, HEAD, move_to_head as fn(&mut Tensors)),
        (HEAD, TABLE, |_| ()),
    ] {
        let folder = with(false, &[(alias, name)], change);
        let (model, _) = load(folder.path()).expect("loads");
        let found = tensors(&model);
        let table = &expected()["decoder.embed_tokens.weight"];
        assert_eq!(&found["decoder.embed_tokens.weight"], table);
        assert_eq!(&found["lm_head.weight"], table);
    }
    let folder = with(false, &[(HEAD, "nothing")], |_| ());
    assert!(refused(folder.path()).contains("no tensor lm_head.weight"));
}

#[test]
fn a_head_that_is_not_the_table_it_should_be_is_refused() {
    let folder = with(true, &[], |stored| {
        let mut head = stored[TABLE].clone();
        head.1[3] += 0.5;
        stored.insert(HEAD.to_owned(), head);
    });
    let message = refused(folder.path());
    for part in [
        "lm_head.weight",
        "tie_word_embeddings",
        "model.safetensors",
        "config.json",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    tie(folder.path(), false);
    let (model, _) = load(folder.path()).expect("loads");
    assert!(model.own_head().is_some());
}

#[test]
fn an_index_may_have_both_names_of_a_table() {
    let folder = sharded(|_, index| {
        index["weight_map"][HEAD] = "model-00001-of-00002.safetensors".into();
    });
    let (model, _) = load(folder.path()).expect("loads");
    assert_eq!(tensors(&model), expected());
    // but not the name of any other tensor
    let folder = sharded(|_, index| {
        index["weight_map"]["lm_head.bias"] = "model-00001-of-00002.safetensors".into();
    });
    assert!(refused(folder.path()).contains("lm_head.bias"));
    // and one that is not whole is still named beside it
    let folder = sharded(|_, index| {
        index["weight_map"][HEAD] = "model-00001-of-00002.safetensors".into();
        index["weight_map"]["model.decoder.scale"] = "model-00002-of-00002.safetensors".into();
    });
    assert!(refused(folder.path()).contains("decoder.scale"));
}

#[test]
fn of_two_formats_the_newer_one_is_read() {
    let folder = folder(|folder| {
        write(&expected(), &folder.join("model.safetensors"));
        fs::write(folder.join("pytorch_model.bin"), "no weights").expect("written");
    });
    let (_, report) = load(folder.path()).expect("loads");
    assert_eq!(report.files, [folder.path().join("model.safetensors")]);
}
