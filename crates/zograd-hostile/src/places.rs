//! What may lie where a file is expected.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Puts something at a path, which must be free, and what an error must call it.
pub type Place = (fn(&Path), &'static str);

/// Things that are there and no files: a folder, a pipe, a link to itself, a device.
///
/// # Panics
/// They cannot be made.
pub const NO_FILES: [Place; 4] = [
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

/// A link to nothing.
///
/// # Panics
/// It cannot be made.
pub const NOTHING: Place = (
    |path| symlink("nowhere", path).expect("a link"),
    "No such file",
);
