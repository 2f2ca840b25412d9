//! Links and pipes under the names of a run's files: nothing is written through them, and nothing waits.

#![cfg(unix)]

use crate::support::{scratch, short, start, until, zograd};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

/// A run in `dir/cut`, killed after some of its steps.
fn cut(dir: &Path) {
    let mut args = short(&["--out", "cut", "--threads", "1"]);
    args[2] = "120";
    let mut child = start(dir, &args);
    until(&mut child, &dir.join("cut/metrics.jsonl"), 8000);
    child.kill().expect("killed");
    child.wait().expect("an end");
}

fn copy_as(dir: &Path, how: &str, copy: &str) {
    let mut command = Command::new("cp");
    let copied = command.args([how, "cut", copy]).current_dir(dir).status();
    assert!(copied.expect("cp").success());
}

/// A copy of it in which `name` is gone.
fn without(dir: &Path, copy: &str, name: &str) {
    copy_as(dir, "-r", copy);
    zograd_files::remove(&dir.join(copy).join(name)).expect("removed");
}

fn resume(dir: &Path, copy: &str) -> Output {
    let args = ["train", "--resume", copy, "--threads", "1"];
    zograd(dir, &args).output().expect("the binary starts")
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success());
}

#[test]
fn a_resumed_run_writes_into_no_link() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    cut(dir.path());
    fs::create_dir(here("victims")).expect("made");
    fs::write(here("victims/model.safetensors"), "precious").expect("written");
    fs::write(here("victim"), "precious").expect("written");
    for (number, (name, target)) in [
        ("metrics.jsonl", "../victim"),
        ("metrics.seals", "../victim"),
        ("trajectory.zog", "../victim"),
        ("run.lock", "../none"),
        ("summary.json.partial", "../victim"),
        ("loss.svg", "../victim"),
        ("loss.svg", "../none"),
        ("best", "../victims"),
        ("best", "../none"),
        ("checkpoint.partial", "../victims"),
        ("environment.json", "../victim"),
    ]
    .into_iter()
    .enumerate()
    {
        let copy = format!("t{number}");
        without(dir.path(), &copy, name);
        symlink(target, here(&copy).join(name)).expect("linked");
        let output = resume(dir.path(), &copy);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // replaced, or refused by name
        if output.status.success() {
            assert!(!here(&copy).join(name).is_symlink(), "{name}");
        } else {
            assert!(stderr.contains(name), "{name}: {stderr}");
        }
        for victim in ["victim", "victims/model.safetensors"] {
            assert_eq!(
                fs::read(here(victim)).expect("there"),
                b"precious",
                "{name}"
            );
        }
        assert_eq!(fs::read_dir(here("victims")).expect("there").count(), 1);
        assert!(!here("none").exists(), "{name}");
    }
}

#[test]
fn a_resumed_run_does_not_write_into_another_one_by_hard_links() {
    let dir = scratch();
    cut(dir.path());
    let before = fs::read(dir.path().join("cut/trajectory.zog")).expect("a log");
    copy_as(dir.path(), "-al", "t");
    let output = resume(dir.path(), "t");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("hard link"), "{stderr}");
    let after = fs::read(dir.path().join("cut/trajectory.zog")).expect("a log");
    assert!(before == after);
}

#[test]
fn a_resumed_run_waits_for_no_pipe() {
    let dir = scratch();
    cut(dir.path());
    for (copy, name) in [
        ("lock", "run.lock"),
        ("log", "metrics.seals"),
        ("settings", "config.toml"),
        ("place", "environment.json"),
    ] {
        without(dir.path(), copy, name);
        pipe(&dir.path().join(copy).join(name));
        let output = resume(dir.path(), copy);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(stderr.contains(name), "{name}: {stderr}");
    }
    // what is replaced as a whole is no matter
    without(dir.path(), "t", "loss.svg");
    for name in [
        "loss.svg",
        "loss.svg.partial",
        "best.partial",
        "summary.json.partial",
        "checkpoint.partial",
        "environment.json.partial",
    ] {
        pipe(&dir.path().join("t").join(name));
    }
    let output = resume(dir.path(), "t");
    assert!(output.status.success(), "{output:?}");
    let drawn = fs::read_to_string(dir.path().join("t/loss.svg")).expect("a file");
    assert!(drawn.trim_end().ends_with("</svg>"));
}

/// What a run ran on before is not lost because its file cannot be read.
#[test]
fn a_resumed_run_replaces_no_environment_that_it_cannot_read() {
    let dir = scratch();
    cut(dir.path());
    without(dir.path(), "junk", "environment.json");
    fs::write(dir.path().join("junk/environment.json"), "junk").expect("written");
    without(dir.path(), "endless", "environment.json");
    let endless = dir.path().join("endless/environment.json");
    symlink("/dev/zero", &endless).expect("linked");
    for copy in ["junk", "endless"] {
        let output = resume(dir.path(), copy);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{copy}: {stderr}");
        assert!(stderr.contains("environment.json"), "{copy}: {stderr}");
    }
    let kept = fs::read_to_string(dir.path().join("junk/environment.json"));
    assert_eq!(kept.expect("there"), "junk");
    assert!(endless.is_symlink());
    // a run may be killed before it is written
    without(dir.path(), "none", "environment.json");
    assert!(resume(dir.path(), "none").status.success());
    assert!(dir.path().join("none/environment.json").exists());
}

/// `best/` is made again, whatever has its name.
#[test]
fn best_weights_are_put_in_the_place_of_a_file() {
    let dir = scratch();
    cut(dir.path());
    without(dir.path(), "t", "best");
    fs::write(dir.path().join("t/best"), "no folder").expect("written");
    let output = resume(dir.path(), "t");
    assert!(output.status.success(), "{output:?}");
    assert!(dir.path().join("t/best/model.safetensors").exists());
}
