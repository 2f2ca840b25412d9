//! Every dependency of the workspace is used by a package, and the book says what for.

use crate::workspace::{metadata, workspace};
use std::collections::BTreeSet;

#[test]
fn dependencies_are_used_and_explained() {
    let read = |file: &str| std::fs::read_to_string(workspace().join(file)).expect("readable");
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let declared = manifest["workspace"]["dependencies"].as_table();
    let packages = metadata().expect("cargo metadata").packages;
    let used: BTreeSet<String> = packages
        .into_iter()
        .flat_map(|package| package.dependencies)
        .map(|dependency| dependency.name)
        .collect();
    let page = read("docs/src/dependencies.md");
    let names = page.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
    let explained: BTreeSet<&str> = names.collect();
    for name in declared.expect("a table").keys() {
        assert!(used.contains(name), "no package uses {name}");
        let is_ours = name.starts_with("zograd-");
        let is_explained = is_ours || explained.contains(name.as_str());
        assert!(is_explained, "docs/src/dependencies.md: nothing on {name}");
    }
}
