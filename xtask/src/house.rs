//! `cargo xtask house`: how large each package is, and which of its files import each other in a circle.
//!
//! The scan reads text, not Rust: the `use` trees and the paths that begin with `crate::`, `super::`, `self::` or the name
//! of a submodule. It follows re-exports to the file that defines a name, counts a `pub use` as no import, and lets a module
//! use what its parents define. What macros write, methods that are called without naming a type, and modules inside a
//! file are not seen; so this is something to look at and no check.

use crate::workspace::metadata;
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Modules = BTreeMap<String, Module>;

/// A file of a package, under the path of its module (`crate::a::b`).
#[derive(Default)]
struct Module {
    lines: usize,
    /// Paths that this file names, as they are written.
    paths: Vec<String>,
    /// What its `use` makes known under a name, for itself and others.
    names: BTreeMap<String, String>,
}

/// Prints lines, and fails if there are circles.
///
/// # Errors
/// A circle, or a file that cannot be read.
pub fn run() -> Result<()> {
    let mut circles = Vec::new();
    for package in metadata()?.packages {
        let (name, mut modules) = (&package.name, Modules::new());
        read(&package.folder().join("src"), "crate", &mut modules)?;
        let lines: usize = modules.values().map(|module| module.lines).sum();
        println!("{lines:>6} lines in {:>3} files  {name}", modules.len());
        let found = circles_of(&modules).into_iter();
        circles.extend(found.map(|circle| format!("{name}: {}", circle.join(", "))));
    }
    println!("{} circles", circles.len());
    ensure!(
        circles.is_empty(),
        "files import each other in a circle\n{}",
        circles.join("\n")
    );
    Ok(())
}

fn read(folder: &Path, module: &str, modules: &mut Modules) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            read(&path, &format!("{module}::{stem}"), modules)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let own = match &*stem {
                "lib" | "main" | "mod" => module.to_owned(),
                stem => format!("{module}::{stem}"),
            };
            modules.insert(own, parse(&std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn parse(text: &str) -> Module {
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: Vec<&str> = code.lines().filter(is_code).collect();
    let mut module = Module {
        lines: text.lines().count(),
        ..Module::default()
    };
    let mut rest = String::new();
    for statement in code.join("\n").split_inclusive(';') {
        // `use` stands first in its line, but for its visibility
        let mut places = statement.match_indices("use ").map(|(at, _)| {
            let line = statement[..at].rsplit('\n').next();
            (at, line.unwrap_or_default().trim())
        });
        let found = places.find(|(_, before)| before.is_empty() || before.starts_with("pub"));
        let Some((at, visibility)) = found else {
            rest.push_str(statement);
            continue;
        };
        rest.push_str(&statement[..at]);
        let tree: String = statement[at + 4..].split_whitespace().collect();
        for path in expand("", tree.trim_end_matches(';')) {
            let name = path.rsplit("::").next().unwrap_or_default().to_owned();
            if visibility.is_empty() {
                module.paths.push(path.clone());
            }
            module.names.insert(name, path);
        }
    }
    let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let paths = words.filter(|word| word.contains("::"));
    module.paths.extend(paths.map(String::from));
    module
}

/// All paths of a `use` tree, without renamings.
fn expand(prefix: &str, tree: &str) -> Vec<String> {
    let Some((head, group)) = tree.split_once('{') else {
        let path = format!("{prefix}{tree}");
        return vec![path.trim_end_matches("::self").to_owned()];
    };
    let prefix = format!("{prefix}{head}");
    let (mut depth, mut paths, mut part) = (0, Vec::new(), String::new());
    for c in group.strip_suffix('}').unwrap_or(group).chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            paths.extend(expand(&prefix, &std::mem::take(&mut part)));
        } else {
            part.push(c);
        }
    }
    paths.extend(expand(&prefix, &part));
    paths
}

/// The module that defines what `path` means in `module`, if it is one of this package.
fn resolve(modules: &Modules, module: &str, path: &str, depth: usize) -> Option<String> {
    let mut at = module.to_owned();
    for (place, word) in path.split("::").enumerate() {
        let inner = format!("{at}::{word}");
        match word {
            "crate" => "crate".clone_into(&mut at),
            "self" => {}
            "super" => at = at.rsplit_once("::")?.0.to_owned(),
            _ if modules.contains_key(&inner) => at = inner,
            _ => match modules.get(&at)?.names.get(word) {
                Some(target) if depth < 9 && target != path => {
                    return resolve(modules, &at, target, depth + 1);
                }
                _ if place == 0 => return None,
                _ => break,
            },
        }
    }
    Some(at)
}

fn circles_of(modules: &Modules) -> Vec<Vec<&str>> {
    let imports = |module: &str| {
        let paths = modules.get(module).map_or(&[][..], |m| &m.paths);
        let found = paths
            .iter()
            .filter_map(|path| resolve(modules, module, path, 0));
        let known = found.filter_map(|at| Some(modules.get_key_value(&at)?.0.as_str()));
        known
            .filter(|at| *at != module && !module.starts_with(&format!("{at}::")))
            .collect::<BTreeSet<&str>>()
    };
    let edges: BTreeMap<&str, BTreeSet<&str>> =
        modules.keys().map(|m| (m.as_str(), imports(m))).collect();
    let reach = |from| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            open.extend(edges[next].iter().copied().filter(|to| seen.insert(*to)));
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|m| (*m, reach(m))).collect();
    let together = |a: &str| {
        reached[a]
            .iter()
            .copied()
            .filter(|b| reached[b].contains(a))
            .collect()
    };
    let circles: BTreeSet<Vec<&str>> = edges.keys().map(|m| together(m)).collect();
    circles
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_circle_behind_a_re_export_and_none_behind_a_face() {
        let mut modules = Modules::new();
        for (name, text) in [
            (
                "crate",
                "mod a;\nmod b;\nmod c;\npub use a::{One, Other};\npub use c::Third;\n",
            ),
            ("crate::a", "use crate::b::{\n    self, Two};\n"),
            ("crate::b", "fn f() -> crate::One {}\n"),
            (
                "crate::c",
                "use super::Other;\n#[cfg(test)]\nmod tests { use crate::c::X; }",
            ),
        ] {
            modules.insert(name.to_owned(), parse(text));
        }
        assert_eq!(circles_of(&modules), [["crate::a", "crate::b"]]);
    }
}
