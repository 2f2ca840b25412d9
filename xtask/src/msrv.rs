//! `cargo xtask msrv`: the workspace compiles with the oldest Rust that it promises to compile with.
//!
//! Clippy's `incompatible_msrv` finds what the standard library had not yet got; only that Rust itself finds what the
//! language had not.

use crate::workspace::{output, workspace};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::process::Command;

/// The promise: `rust-version` of every manifest.
const VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// Checks that no dependency, on any platform, says that it needs a newer Rust.
///
/// # Errors
/// Some do; they are named.
pub fn dependencies() -> Result<()> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        rust_version: Option<String>,
    }
    let text = output(&["metadata", "--format-version", "1", "--locked"])?;
    let metadata: Metadata = serde_json::from_str(&text)?;
    let promised = numbers(VERSION);
    let newer: Vec<String> = metadata
        .packages
        .iter()
        .filter_map(|package| {
            let needed = package.rust_version.as_ref()?;
            (numbers(needed) > promised).then(|| format!("{} needs {needed}", package.name))
        })
        .collect();
    let (count, list) = (metadata.packages.len(), newer.join("\n"));
    ensure!(newer.is_empty(), "newer than Rust {VERSION}:\n{list}");
    println!("{count} packages, none of which says that it needs more than Rust {VERSION}");
    Ok(())
}

/// The first two numbers of a version; whether the third matters is not known from `rust-version`.
fn numbers(version: &str) -> Vec<u32> {
    let parts = version.split('.').map_while(|part| part.parse().ok());
    parts.take(2).collect()
}

/// Checks with that Rust, in a target folder of its own; says so where it is not installed.
///
/// # Errors
/// Something does not compile, or a dependency says that it would not.
pub fn run() -> Result<()> {
    dependencies()?;
    let list = Command::new("rustup").args(["toolchain", "list"]).output();
    let list = list.map_or_else(
        |_| String::new(),
        |list| String::from_utf8_lossy(&list.stdout).into_owned(),
    );
    let Some(toolchain) = toolchain(&list, VERSION) else {
        println!("skipped: Rust {VERSION} is not installed (rustup toolchain install {VERSION})");
        return Ok(());
    };
    let target = workspace().join("target/msrv");
    let mut command = Command::new("rustup");
    command.args([
        "run",
        toolchain,
        "cargo",
        "check",
        "--workspace",
        "--locked",
    ]);
    // the cargo that runs this program has told its children which compiler to use
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC");
    command.arg("--target-dir").arg(target);
    let status = command.current_dir(workspace()).status();
    let status = status.context("cannot start rustup")?;
    ensure!(status.success(), "it does not compile with {toolchain}");
    Ok(())
}

/// The installed toolchain of a version, without regard to its last number.
fn toolchain<'a>(list: &'a str, version: &str) -> Option<&'a str> {
    let names = list.lines().filter_map(|line| line.split(' ').next());
    let mut found = names.filter(|name| {
        let rest = name.strip_prefix(version);
        rest.is_some_and(|rest| rest.starts_with(['-', '.']))
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("1.100") > numbers("1.92"));
        assert!(numbers("1.92.1") <= numbers("1.92"));
        assert!(numbers("1.9") < numbers("1.92.0"));
    }

    #[test]
    fn finds_the_toolchain_of_the_version() {
        let list =
            "stable-x86_64-unknown-linux-gnu (active, default)\n1.9.0-x86_64\n1.92.1-x86_64\n";
        assert_eq!(toolchain(list, "1.92"), Some("1.92.1-x86_64"));
        assert_eq!(toolchain(list, "1.9"), Some("1.9.0-x86_64"));
        assert_eq!(toolchain(list, "1.91"), None);
        assert_eq!(toolchain("", "1.92"), None);
    }
}
