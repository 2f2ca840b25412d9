//! GGUF files: metadata, the list of tensors, and their blocks.

use std::fs;
use std::path::Path;

use zograd_hostile::{Seen, bytes as damage};
use zograd_weights::gguf::GgufFile;
use zograd_weights::{Storage, TensorSource};

use crate::folder::folder;
use crate::trial;

fn original() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    fs::read(folder.join("blocks.gguf")).expect("the fixture")
}

/// Reads all of a file that is written to `path`.
fn reads(path: &Path) -> impl Fn(&[u8]) -> Seen {
    move |bytes| {
        fs::write(path, bytes).expect("written");
        let read = || {
            let mut file = GgufFile::open(path)?;
            let names: Vec<String> = file.entries().keys().cloned().collect();
            for name in names {
                file.read(&name, Storage::F32)?;
            }
            Ok(())
        };
        read().map_err(|error: zograd_weights::ReadError| {
            let text = error.to_string();
            assert!(text.contains("it.gguf") && !text.contains('\n'), "{text}");
            text
        })
    }
}

#[test]
fn damaged_files() {
    let folder = folder();
    let path = folder.path().join("it.gguf");
    let read = reads(&path);
    assert_eq!(read(&original()), Ok(()));
    trial("GGUF", 1500).run(damage::damaged(original()), &read);
    trial("GGUF, cut", 500).each(damage::truncations(&original()), &read);
}

/// Where all lengths, counts and places are: in front of the blocks.
#[test]
fn damaged_heads() {
    let folder = folder();
    let path = folder.path().join("it.gguf");
    let read = reads(&path);
    let original = original();
    let head = original.windows(4).rposition(|word| word == b"BF16");
    let (head, data) = original.split_at(head.expect("the last tensor") + 40);
    let files = |heads: Vec<Vec<u8>>| heads.into_iter().map(|head| [&head[..], data].concat());
    trial("GGUF, extreme numbers", 3000).each(files(damage::numbers(head).collect()), &read);
    trial("GGUF, flipped bits", 2000).each(files(damage::flips(head).collect()), &read);
}
