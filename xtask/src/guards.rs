//! Libraries read and write files through `zograd-files` and print nothing: clippy holds what their first lines ask for.
//!
//! Tests, examples and programs for development are free, which is why this is no lint of the whole workspace.

use crate::workspace::metadata;

/// The lints, without blanks.
const GUARD: &str = "#![cfg_attr(not(test),warn(clippy::disallowed_methods,clippy::print_stderr,clippy::print_stdout))]";

/// What the guard leads to; and what does not yet go there.
const FREE: [&str; 5] = [
    "zograd-files",
    "zograd-models",
    "zograd-perturb",
    "zograd-select",
    "zograd-trainer",
];

#[test]
fn libraries_are_guarded() {
    let mut guarded = 0;
    for package in metadata().expect("cargo metadata").packages {
        let root = package.folder().join("src/lib.rs");
        if !package.is_published() || !root.is_file() || FREE.contains(&package.name.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&root).expect("readable");
        let dense: String = text.split_whitespace().collect();
        assert!(dense.contains(GUARD), "{} lacks {GUARD}", root.display());
        guarded += 1;
    }
    assert!(guarded >= 3, "{guarded}");
}
