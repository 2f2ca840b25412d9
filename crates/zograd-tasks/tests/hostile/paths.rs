//! Files that are no files.

use crate::read;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// How to put it at a path, and what an error must call it.
type Place = (fn(&Path), &'static str);

#[test]
fn what_is_no_file_is_named() {
    let places: [Place; 4] = [
        (|path| fs::create_dir(path).expect("a folder"), "folder"),
        (
            |path| {
                let made = Command::new("mkfifo").arg(path).status();
                assert!(made.expect("mkfifo").success());
            },
            "pipe",
        ),
        (
            |path| symlink(path, path).expect("a link"),
            "symbolic links",
        ),
        (|path| symlink("/dev/zero", path).expect("a link"), "device"),
    ];
    for name in [
        "train.jsonl",
        "train.parquet",
        "train-00000-of-00001.parquet",
    ] {
        for (place, reason) in places {
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
