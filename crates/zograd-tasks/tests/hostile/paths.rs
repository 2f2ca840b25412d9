//! Files that are no files.

use crate::read;
use std::fs;
use zograd_hostile::places::NO_FILES;

#[test]
fn what_is_no_file_is_named() {
    for name in [
        "train.jsonl",
        "train.parquet",
        "train-00000-of-00001.parquet",
    ] {
        for (place, reason) in NO_FILES {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join("validation.jsonl"), "{}").expect("written");
            place(&folder.path().join(name));
            let error = read(folder.path()).expect_err("no file");
            assert!(
                error.contains(name) && error.contains(reason),
                "{name}: {error}"
            );
        }
    }
}
