//! GGUF files of models: metadata that makes a configuration and a tokenizer, and tensors.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use zograd_hostile::{Seen, bytes as damage};
use zograd_models::gguf::{GgufError, GgufModel};
use zograd_weights::{Storage, TensorSource};

use crate::trial;

fn original(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    fs::read(folder.join(name)).expect("the fixture")
}

/// Reads all of a file that is written to `path`, and uses its tokenizer.
fn read(path: &Path, bytes: &[u8]) -> Seen {
    fs::write(path, bytes).expect("written");
    let read = || {
        let model = GgufModel::open(path)?;
        let tokenizer = model.tokenizer()?;
        // whatever it makes of a text
        let text = "It's a <tool> \u{fc}ber 123  test\n";
        drop(zograd_files::guarded(|| tokenizer.encode(text, true)));
        model.chat_template()?;
        let mut tensors = model.tensors(&())?;
        let names: Vec<String> = tensors.entries().keys().cloned().collect();
        for name in names {
            tensors.read(&name, Storage::F16)?;
        }
        Ok(())
    };
    read().map_err(|error: GgufError| {
        let text = error.to_string();
        assert!(text.contains("it.gguf") && !text.contains('\n'), "{text}");
        text
    })
}

#[test]
fn damaged_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    for name in ["llama.gguf", "gemma3.gguf"] {
        let original = original(name);
        assert_eq!(read(&path, &original), Ok(()));
        trial("GGUF model", 500).run(damage::damaged(original), |bytes| read(&path, bytes));
    }
}

/// Where the sizes are: in front of the tensors.
#[test]
fn damaged_metadata() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    let original = original("llama.gguf");
    let head = original.windows(4).position(|word| word == b"blk.");
    let (head, data) = original.split_at(head.expect("a tensor"));
    let files = damage::damaged(head.to_vec()).prop_map(|head| [&head[..], data].concat());
    trial("GGUF metadata", 500).run(files, |bytes| read(&path, bytes));
}

#[test]
fn damaged_tokenizers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    for name in ["byte_level.gguf", "sentencepiece.gguf"] {
        let original = original(name);
        assert_eq!(read(&path, &original), Ok(()));
        trial("GGUF tokenizer", 300).run(damage::damaged(original), |bytes| read(&path, bytes));
    }
}
