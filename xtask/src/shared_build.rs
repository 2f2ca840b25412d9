//! Every program of the workspace asks for the same features of the packages that take long to compile, so that whoever
//! has built one of them, or run the tests, does not compile burn again for the next.
//!
//! Cargo chooses features for the packages that are built together. `cargo tree` says which, and builds nothing.

use crate::workspace::output;
use std::collections::{BTreeMap, BTreeSet};

/// The programs that link burn, by package.
const PROGRAMS: &[&str] = &["zograd-cli", "zograd-benches", "zograd-embed"];

/// The feature sets of each package: one for the target and, if a build script or macro needs it too, one for the host.
type Features = BTreeMap<String, BTreeSet<String>>;

fn features(selection: &[&str]) -> Features {
    let format = [
        "--prefix",
        "none",
        "--format",
        "{p}|{f}",
        "--locked",
        "--offline",
    ];
    let arguments = [&["tree"], selection, &format].concat();
    let text = output(&arguments).expect("the dependencies of what was just built");
    let mut features = Features::new();
    for line in text.lines() {
        let Some((package, list)) = line.trim_end_matches(" (*)").split_once('|') else {
            continue;
        };
        // the packages of the workspace compile in seconds, and differ on purpose
        if !package.contains("(/") {
            let sets = features.entry(package.to_owned()).or_default();
            sets.insert(list.to_owned());
        }
    }
    features
}

#[test]
fn programs_share_one_build_of_their_dependencies() {
    // "dev" edges stand for what tests are built with
    let whole = features(&["--workspace", "--edges", "normal,build,dev"]);
    for program in PROGRAMS {
        let own = features(&["--package", program, "--edges", "normal,build"]);
        assert!(own.keys().any(|package| package.starts_with("burn-core ")));
        for (package, sets) in &own {
            let built = whole.get(package).expect("a package of the workspace");
            assert!(
                sets.is_subset(built),
                "{program} builds {package} with the features {sets:?}, and the workspace with {built:?}: \
                 name what is missing in the manifest of {program}"
            );
        }
    }
}

/// What checks the format must not wait for what it checks.
#[test]
fn xtask_links_nothing_heavy() {
    let own = features(&["--package", "xtask", "--edges", "normal,build"]);
    assert!(own.keys().any(|package| package.starts_with("clap ")));
    let heavy = ["burn", "faer", "gemm", "cubecl", "ndarray", "tokenizers"];
    for package in own.keys() {
        let is_heavy = heavy.iter().any(|name| package.starts_with(name));
        assert!(!is_heavy, "xtask links {package}");
    }
    let all = output(&["tree", "--package", "xtask", "--edges", "normal,build"]);
    let all = all.expect("the tree of xtask");
    assert!(!all.contains("zograd-"), "xtask links a package of zograd");
}
