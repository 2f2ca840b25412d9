//! Libraries and the command read and write files through `zograd-files`, and libraries print nothing: clippy holds what
//! their first lines ask for.
//!
//! Tests, examples and programs for development are free, which is why this is no lint of the whole workspace.

use crate::workspace::metadata;

/// The lints of a library, without blanks.
const LIBRARY: &str = "#![cfg_attr(not(test),warn(clippy::disallowed_methods,clippy::print_stderr,clippy::print_stdout))]";

/// Those of a command, which is there to print.
const COMMAND: &str = "#![cfg_attr(not(test),warn(clippy::disallowed_methods))]";

/// How many of the published packages have this root, in which the guard must stand.
fn guarded(root: &str, guard: &str) -> usize {
    let packages = metadata().expect("cargo metadata").packages;
    let published = packages.iter().filter(|package| package.is_published());
    let roots = published.map(|package| package.folder().join(root));
    let mut guarded = 0;
    for root in roots.filter(|root| root.is_file()) {
        let text = std::fs::read_to_string(&root).expect("readable");
        let dense: String = text.split_whitespace().collect();
        assert!(dense.contains(guard), "{} lacks {guard}", root.display());
        guarded += 1;
    }
    guarded
}

#[test]
fn libraries_and_the_command_are_guarded() {
    assert!(guarded("src/lib.rs", LIBRARY) >= 10);
    assert!(guarded("src/main.rs", COMMAND) >= 1);
}
