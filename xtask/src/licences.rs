//! `cargo xtask licences`: everything that is linked, on all platforms and with all features, is under a licence that
//! `deny.toml` allows.
//!
//! cargo-deny checks more (advisories, bans), but has to be installed first. This reads the same file.

use crate::workspace::{output, workspace};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: Vec<String>,
}

impl Licenses {
    fn read() -> Result<Self> {
        let path = workspace().join("deny.toml");
        let text = std::fs::read_to_string(&path);
        let deny: Deny = toml::from_str(&text.context("deny.toml")?).context("deny.toml")?;
        Ok(deny.licenses)
    }

    /// Whether a package may be used under the licence that `expression` says.
    fn allow(&self, package: &str, expression: &str) -> bool {
        let own = self.exceptions.iter().filter(|e| e.package == package);
        let own: Vec<&String> = own.flat_map(|e| &e.allow).collect();
        let spaced = expression.replace('(', " ( ").replace(')', " ) ");
        // what `OR` was before SPDX
        let spaced = spaced.replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let is_allowed = |licence: &str| {
            let mut allowed = self.allow.iter().chain(own.iter().copied());
            allowed.any(|a| a == licence)
        };
        either(&mut words, &is_allowed) && words.next().is_none()
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// `a OR b`: one is enough.
fn either(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut allowed = both(words, is_allowed);
    while words.next_if_eq(&"OR").is_some() {
        allowed |= both(words, is_allowed);
    }
    allowed
}

/// `a AND b`, which binds more tightly.
fn both(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut allowed = one(words, is_allowed);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words, is_allowed);
    }
    allowed
}

/// A licence, with its exception if it has one, or something in brackets.
fn one(words: &mut Words<'_>, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    match words.next() {
        Some("(") => {
            let allowed = either(words, is_allowed);
            allowed && words.next() == Some(")")
        }
        Some(licence) => match words.next_if_eq(&"WITH") {
            Some(_) => {
                let exception = words.next().unwrap_or_default();
                is_allowed(&format!("{licence} WITH {exception}"))
            }
            None => is_allowed(licence),
        },
        None => false,
    }
}

/// Checks the packages that `cargo tree` lists with these further arguments, and tells how many there are.
///
/// # Errors
/// The list cannot be had, or packages are not allowed; they are named.
pub fn check(selection: &[&str]) -> Result<usize> {
    let licenses = Licenses::read()?;
    let format = ["--prefix", "none", "--format", "{p}|{l}", "--locked"];
    let text = output(&[&["tree", "--workspace"], selection, &format].concat())?;
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    let packages: BTreeSet<(&str, &str)> = lines.filter_map(|l| l.split_once('|')).collect();
    let bad: Vec<String> = packages
        .iter()
        .filter(|(package, licence)| {
            let name = package.split(' ').next().unwrap_or_default();
            !licenses.allow(name, licence)
        })
        .map(|(package, licence)| format!("{package}: {licence}"))
        .collect();
    ensure!(
        bad.is_empty(),
        "deny.toml does not allow these licences:\n{}",
        bad.join("\n")
    );
    Ok(packages.len())
}

/// Checks all there is.
///
/// # Errors
/// Those of [`check`].
pub fn run() -> Result<()> {
    let count = check(&["--all-features", "--target", "all"])?;
    println!("{count} packages, all under licences that deny.toml allows");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_says() {
        let licenses = Licenses {
            allow: ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
                .map(String::from)
                .to_vec(),
            exceptions: vec![Exception {
                package: "colored".to_owned(),
                allow: vec!["MPL-2.0".to_owned()],
            }],
        };
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "MIT AND ISC",
            "(MIT OR GPL-3.0) AND ISC",
            "GPL-3.0 AND GPL-2.0 OR ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(licenses.allow("some", good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "MIT ISC",
            "Apache-2.0",
            "MPL-2.0",
        ] {
            assert!(!licenses.allow("some", bad), "{bad}");
        }
        assert!(licenses.allow("colored", "MPL-2.0"));
    }

    /// What the tests themselves were built from; the rest (other platforms, backends for GPUs) may have to be
    /// downloaded, and is checked by `cargo xtask ci`.
    #[test]
    fn everything_built_is_allowed() {
        let packages = check(&["--offline"]).expect("allowed licences");
        assert!(packages > 100, "{packages}");
    }
}
