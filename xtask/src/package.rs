//! `cargo xtask package`: what would be published is complete.

use crate::workspace::{Package, cargo, metadata, output};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// What every package has besides its code.
const FILES: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Packages all that is published, in the order of their dependencies; with `verify`, compiles them from the packages.
///
/// # Errors
/// A file is missing, a dependency has no version, a package cannot be made, or does not compile.
pub fn run(verify: bool) -> Result<()> {
    let metadata = metadata()?;
    let published: Vec<&Package> = order(&metadata.packages);
    for package in &published {
        check(package).with_context(|| format!("package {}", package.name))?;
    }
    // all at once, so that one is found by the next although no registry has it yet
    let mut command = cargo(&["package", "--locked", "--allow-dirty"]);
    for package in &published {
        command.args(["--package", &package.name]);
    }
    if !verify {
        command.arg("--no-verify");
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo package ended with {status}");
    println!("publish in this order:");
    for package in published {
        println!("  cargo publish -p {}", package.name);
    }
    Ok(())
}

/// The published packages, each after those that it depends on.
fn order(packages: &[Package]) -> Vec<&Package> {
    let mut left: Vec<&Package> = packages.iter().filter(|p| p.is_published()).collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let names: BTreeSet<&str> = left.iter().map(|p| p.name.as_str()).collect();
        let (ready, waiting): (Vec<_>, Vec<_>) = left.iter().partition(|package| {
            let mut needed = package.dependencies.iter();
            !needed.any(|d| d.req != "*" && names.contains(d.name.as_str()))
        });
        if ready.is_empty() {
            // a circle, which cargo will name
            ordered.extend(waiting);
            break;
        }
        ordered.extend(ready);
        left = waiting;
    }
    ordered
}

fn check(package: &Package) -> Result<()> {
    for dependency in &package.dependencies {
        // cargo leaves a test's dependency without a version out of the package
        let is_left_out = dependency.kind.as_deref() == Some("dev") && dependency.path.is_some();
        ensure!(
            dependency.req != "*" || is_left_out,
            "the dependency {} has no version",
            dependency.name
        );
    }
    let list = ["package", "--list", "--allow-dirty", "--package"];
    let list = output(&[&list[..], &[&package.name]].concat())?;
    let files: BTreeSet<PathBuf> = list.lines().map(PathBuf::from).collect();
    for name in FILES {
        ensure!(files.contains(Path::new(name)), "{name} is missing");
    }
    let sources = files
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "rs"));
    for source in sources {
        let text = std::fs::read_to_string(package.folder().join(source))?;
        let here = source.parent().unwrap_or(Path::new(""));
        for included in included(&text) {
            let file = normal(&here.join(included));
            ensure!(
                files.contains(&file),
                "{} includes {included}, which is not in the package",
                source.display()
            );
        }
    }
    Ok(())
}

/// The paths in `include_str!("..")` and `include_bytes!("..")`. Paths that macros put together are not seen: that
/// those are there is seen by `--verify`.
fn included(source: &str) -> impl Iterator<Item = &str> {
    let calls = ["include_str!(", "include_bytes!("];
    calls.into_iter().flat_map(move |call| {
        let after = source.split(call).skip(1);
        after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
    })
}

/// A relative path without `..` inside.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_source_includes() {
        let source = "const A: &str = include_str!(\"../a.txt\");\n#[doc = include_str!(\n \"b.md\")]\n\
            include_str!(concat!(\"c\", \"d\")) include_bytes!(\"e\")";
        let found: Vec<&str> = included(source).collect();
        assert_eq!(found, ["../a.txt", "b.md", "e"]);
    }

    #[test]
    fn paths_lose_their_detours() {
        let file = |path| normal(Path::new(path));
        assert_eq!(file("src/../README.md"), Path::new("README.md"));
        assert_eq!(file("src/./a/../b"), Path::new("src/b"));
        // outside the package: in no list
        assert_eq!(file("src/../../x"), Path::new("../x"));
    }

    #[test]
    fn dependencies_are_published_first() {
        let metadata = metadata().expect("cargo metadata");
        let names: Vec<&str> = order(&metadata.packages)
            .into_iter()
            .map(|p| p.name.as_str())
            .collect();
        let place = |name| names.iter().position(|n| *n == name);
        assert!(place("zograd-direction") < place("zograd-select"));
        assert!(place("zograd-weights") < place("zograd-models"));
        assert!(place("zograd-models") < place("zograd-trainer"));
        assert!(place("zograd-trainer") < place("zograd-runs"));
        assert_eq!(names.last(), Some(&"zograd-cli"));
        for private in ["xtask", "zograd-benches", "zograd-embed", "zograd-hostile"] {
            assert_eq!(place(private), None, "{private}");
        }
    }
}
