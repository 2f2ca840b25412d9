//! Files that are no files, and names that lead elsewhere.

use crate::folder::{folder, load};
use std::fs;
use zograd_hostile::places::{NO_FILES, NOTHING, Place};
use zograd_models::tokenizer;

/// What may lie where a file is expected.
fn places() -> impl Iterator<Item = Place> {
    NO_FILES.into_iter().chain([NOTHING])
}

#[test]
fn what_is_no_file_is_named() {
    for (place, reason) in places() {
        let folder = folder();
        let path = folder.path().join("config.json");
        fs::remove_file(&path).expect("removed");
        place(&path);
        let error = load(folder.path()).expect_err("no file");
        assert!(
            error.contains("config.json") && error.contains(reason),
            "{error}"
        );
    }
}

#[test]
fn tokenizer_files_that_are_no_files_are_named() {
    for name in ["tokenizer.json", "vocab.json", "merges.txt"] {
        for (place, reason) in places() {
            let folder = tempfile::tempdir().expect("a folder");
            for other in ["vocab.json", "merges.txt"] {
                if name != other {
                    fs::write(folder.path().join(other), "{}").expect("written");
                }
            }
            place(&folder.path().join(name));
            let error = tokenizer::load(folder.path())
                .expect_err("no file")
                .to_string();
            assert!(
                error.contains(name) && error.contains(reason),
                "{name}: {error}"
            );
        }
    }
}

/// A file of exabytes that takes no room on the disk.
#[test]
fn a_sparse_giant_is_refused_by_its_size() {
    for name in ["config.json", "tokenizer.json"] {
        let folder = folder();
        let file = fs::File::create(folder.path().join(name)).expect("a file");
        file.set_len(1 << 40).expect("a sparse file");
        let error = match name {
            "tokenizer.json" => tokenizer::load(folder.path())
                .expect_err("giant")
                .to_string(),
            _ => load(folder.path()).expect_err("giant"),
        };
        assert!(
            error.contains(name) && error.contains("1099511627776"),
            "{error}"
        );
    }
}
