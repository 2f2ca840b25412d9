//! Logs, replays and interrupted runs, through the real binary.

use crate::errors::refused;
use crate::support::{metrics, run, run_json, run_text, scratch, short, unpack, zograd};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use zograd_trainer::trajectory::{Trajectory, TrajectoryWriter};

const ANCHORED: [&str; 8] = [
    "--backend",
    "flex",
    "--dtype",
    "bf16",
    "--arithmetic",
    "anchored",
    "--anchor-every",
    "5",
];
const TOWARD_START: [&str; 4] = ["--weight-decay", "100", "--decay-toward", "start"];
const MOMENTUM: [&str; 4] = ["--momentum", "0.9", "--momentum-steps", "6"];
const LORA: [&str; 4] = ["--tune", "lora", "--lora-r", "4"];

fn weights(folder: &Path) -> Vec<u8> {
    let file = ["model.safetensors", "adapter_model.safetensors"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|file| file.exists());
    fs::read(file.expect("weights")).expect("readable")
}

/// Everything a run leaves behind that is a function of its settings.
fn assert_same(a: &Path, b: &Path) {
    let log = |run: &Path| fs::read(run.join("trajectory.zog")).expect("a log");
    assert_eq!(log(a), log(b), "the logs differ");
    assert_eq!(metrics(a), metrics(b), "the metrics differ");
    assert_eq!(
        weights(&a.join("best")),
        weights(&b.join("best")),
        "the weights differ"
    );
}

/// The promise of the log: the best weights, bit for bit, by any number of threads and without a forward.
#[test]
fn a_replay_ends_in_the_bits_of_the_run() {
    for (method, more) in [
        ("mezo", &["--weight-decay", "0.1"][..]),
        ("gv", &["--schedule", "cosine"]),
        ("gv-history", &[]),
        ("gv-history", &["--arithmetic", "plain"]),
        ("greedy", &["--noise", "rademacher"]),
        ("gv", &ANCHORED),
        ("gv", &[&ANCHORED[..6], &TOWARD_START].concat()),
        ("mezo", &TOWARD_START),
        ("mezo", &MOMENTUM),
        ("gv", &[&MOMENTUM[..], &["--arithmetic", "plain"]].concat()),
        ("gv", &[&ANCHORED[..], &MOMENTUM].concat()),
        ("mezo", &["--step-scale", "rms", "--lr", "1e-4"]),
        ("gv-history", &[&LORA[..], &TOWARD_START].concat()),
        ("n-spsa", &["--backend", "flex", "--dtype", "bf16"]),
        ("gv", &["--perturbation", "subzero", "--refresh", "5"]),
        (
            "greedy",
            &[
                "--perturbation",
                "lozo",
                "--perturbation-rank",
                "1",
                "--refresh",
                "7",
                "--arithmetic",
                "plain",
            ],
        ),
        (
            "mezo",
            &["--perturbation", "blocks", "--weight-decay", "0.1"],
        ),
        (
            "pool-regression",
            &[
                "--perturbation",
                "sparse",
                "--mask",
                "small",
                "--scale-1d",
                "5",
            ],
        ),
        ("pool-regression", &["--backend", "flex", "--dtype", "f16"]),
    ] {
        let dir = scratch();
        let args = [&["--method", method, "--out", "run"], more].concat();
        let report = run_json(dir.path(), &short(&[&args[..], &["--json"]].concat()));
        let best = report["best_step"].to_string();
        let backend = if more.contains(&"flex") {
            "flex"
        } else {
            "ndarray"
        };
        for threads in ["1", "2"] {
            let out = format!("replayed-{threads}");
            run(
                dir.path(),
                &[
                    "replay",
                    "--log",
                    "run/trajectory.zog",
                    "--to-step",
                    &best,
                    "--backend",
                    backend,
                    "--threads",
                    threads,
                    "--out",
                    &out,
                ],
            );
            let (live, again) = (dir.path().join("run/best"), dir.path().join(&out));
            assert_eq!(
                weights(&live),
                weights(&again),
                "{method}, {threads} threads"
            );
        }
    }
}

#[test]
fn a_log_can_be_looked_at() {
    let dir = scratch();
    run(dir.path(), &short(&["--out", "run"]));
    let log = "run/trajectory.zog";
    let shown = run_json(dir.path(), &["log", "show", log, "--json"]);
    assert_eq!(shown["steps"], 24);
    assert!(
        shown["bytes_per_step"].as_f64().expect("a number") < 100.0,
        "{shown}"
    );
    assert_eq!(shown["header"]["method"]["method"], "gv");
    let verified = run_json(dir.path(), &["log", "verify", log, "--json"]);
    assert_eq!(verified["whole"], true);
    let (exported, _) = run_text(dir.path(), &["log", "export", log]);
    let lines: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 25);
    assert_eq!(lines[24]["step"], 24);
    assert_eq!(lines[24]["update"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_log_shows_what_a_seed_meant() {
    let dir = scratch();
    let sparse = ["--perturbation", "sparse", "--density", "0.5"];
    run(
        dir.path(),
        &short(&[&sparse[..], &["--out", "run"]].concat()),
    );
    run(dir.path(), &short(&["--out", "dense"]));
    let shown = |run_folder: &str| {
        let log = format!("{run_folder}/trajectory.zog");
        run_text(dir.path(), &["log", "show", &log]).0
    };
    let family = r#"perturbed {"family":"sparse","mask":"random","density":0.5,"hash":"sha256:"#;
    assert!(shown("run").contains(family), "{}", shown("run"));
    assert!(!shown("dense").contains("perturbed"));
}

#[test]
fn an_exported_log_is_the_tuned_model() {
    let dir = scratch();
    run(dir.path(), &short(&["--out", "run"]));
    let packed = run_json(dir.path(), &["export", "run", "--out", "packed", "--json"]);
    let size: u64 = [
        "trajectory.zog",
        "config.toml",
        "export.json",
        "zograd.toml",
    ]
    .map(|name| {
        fs::metadata(dir.path().join("packed").join(name))
            .expect("packed")
            .len()
    })
    .iter()
    .sum();
    assert_eq!(packed["bytes"], size);
    let args = [
        "replay",
        "--log",
        "packed/trajectory.zog",
        "--json",
        "--out",
    ];
    let again = run_json(dir.path(), &[&args[..], &["again"]].concat());
    assert_eq!(again["as_exported"], true);
    assert_eq!(
        weights(&dir.path().join("again")),
        weights(&dir.path().join("run/best"))
    );
    // a promise that is not kept is told
    let manifest = dir.path().join("packed/export.json");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let promised = packed["manifest"]["weights"].as_str().expect("a hash");
    fs::write(&manifest, text.replace(promised, "sha256:0")).expect("written");
    let output = zograd(dir.path(), &[&args[..], &["other"]].concat())
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(1));
}

/// A learning rate far too high: guards skip, shrink and stop, the events are counted, and a replay that knows only
/// the log makes the same of them.
#[test]
fn guards_act_and_are_replayed() {
    let dir = scratch();
    let wild = |more: &[&'static str]| {
        let mut args = short(&["--method", "mezo", "--json"]);
        (args[2], args[4]) = ("60", "0");
        args.extend(more);
        args
    };
    let args = [
        "--lr",
        "2e-3",
        "--arithmetic",
        "plain",
        "--out",
        "run",
        "--guard",
        "loss-explosion=skip,exploding-gradient=shrink",
    ];
    let output = zograd(dir.path(), &wild(&args)).output();
    let output = output.expect("the binary starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // guards or not, it comes to no good end
    assert_eq!(
        (output.status.code(), &report["gain"]),
        (Some(1), &"blew-up".into())
    );
    let events = report["events"].as_object().expect("events");
    assert!(events["loss-explosion"].as_u64() >= Some(3), "{events:?}");
    assert!(
        events["exploding-gradient"].as_u64() >= Some(1),
        "{events:?}"
    );
    assert_eq!(report["skipped"], report["events"]["loss-explosion"]);
    let replay = ["replay", "--log", "run/trajectory.zog", "--out", "again"];
    let again = run_json(dir.path(), &[&replay[..], &["--json"]].concat());
    assert_eq!(again["as_exported"], true, "other weights than the run's");
    let stop = [
        "--lr",
        "4e-3",
        "--arithmetic",
        "plain",
        "--out",
        "stopped",
        "--guard",
        "loss-explosion=stop",
    ];
    let output = zograd(dir.path(), &wild(&stop))
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["stop"], "guard");
    assert!(report["steps"].as_u64() < Some(60), "{report}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("stopped by a guard after step"), "{said}");
    assert!(said.contains("loss-explosion; lower --lr"), "{said}");
}

/// SIGINT and SIGTERM finish the step and save; the exit code names the signal, and the run goes on.
#[cfg(unix)]
#[test]
fn signals_save_and_are_named() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let dir = scratch();
        let mut args = short(&["--out", "run"]);
        args[2] = "100000";
        let child = zograd(dir.path(), &args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // until it is in its steps
        while fs::metadata(dir.path().join("run/metrics.jsonl")).map_or(0, |m| m.len()) < 1000 {
            std::thread::yield_now();
        }
        let kill = std::process::Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(kill.expect("kill").success());
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(code));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("resume it with --resume run"), "{said}");
        let log = Path::new("run/trajectory.zog").display().to_string();
        let verified = run_json(dir.path(), &["log", "verify", &log, "--json"]);
        assert_eq!(verified["whole"], true);
    }
}

#[test]
fn a_replay_refuses_what_does_not_fit() {
    let dir = scratch();
    unpack(dir.path());
    run(dir.path(), &short(&["--out", "run"]));
    let log = dir.path().join("run/trajectory.zog");
    let refused = |args: &[&str], part: &str| {
        let args = [&["replay", "--out", "new"], args].concat();
        refused(dir.path(), &args, &[part]);
        assert!(!dir.path().join("new").exists());
    };
    refused(
        &["--log", "run/trajectory.zog", "--model", "run/best"],
        "other weights",
    );
    refused(
        &["--log", "run/trajectory.zog", "--to-step", "25"],
        "24 steps",
    );
    refused(&["--log", "run/metrics.jsonl"], "not a trajectory log");
    refused(&["--log", "nowhere"], "nowhere");
    let mut bytes = fs::read(&log).expect("a log");
    bytes[40] ^= 1;
    fs::write(dir.path().join("bent"), &bytes).expect("written");
    refused(&["--log", "bent"], "checksum");
    let read = Trajectory::read(&log).expect("a log");
    let mut header = read.header;
    header.noise_version = 1;
    let old = dir.path().join("old");
    let mut older = TrajectoryWriter::create(&old, header).expect("a new log");
    for record in &read.records {
        older.append(record).expect("written");
    }
    refused(
        &["--log", "old"],
        "its noise is version 1, this zograd makes version 2",
    );
}

#[test]
fn a_finished_run_and_a_folder_without_one_are_not_gone_on_with() {
    let dir = scratch();
    run(dir.path(), &short(&["--out", "run"]));
    for (args, part) in [
        (&["train", "--resume", "run"][..], "finished"),
        (
            &["train", "--resume", "run", "--lr", "1"],
            "settings it had",
        ),
        (&["train", "--resume", "nowhere"], "no run"),
    ] {
        refused(dir.path(), args, &[part]);
    }
    let files = dir.path().join("run");
    fs::remove_file(files.join("summary.json")).expect("removed");
    fs::remove_file(files.join("trajectory.zog")).expect("removed");
    let resumed = ["train", "--resume", "run"];
    refused(dir.path(), &resumed, &["no trajectory.zog", "--config"]);
}

/// Pseudo-random numbers (Knuth's MMIX generator), the same in every run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// Starts or goes on with the run in `dir/run` and kills it after some milliseconds; whether it was killed.
fn killed(dir: &Path, fresh: &[&str], after: Duration) -> bool {
    let started = dir.join("run/trajectory.zog").exists();
    let args = if started {
        vec!["train", "--resume", "run"]
    } else {
        // killed before there was anything to go on with: it begins again, in the same folder
        fresh.to_vec()
    };
    let mut child = zograd(dir, &args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    // the moment is the point of the test, not a wait for something
    std::thread::sleep(after);
    let _ = child.kill();
    !child.wait().expect("an end").success()
}

/// SIGKILL at random moments, and damage to the files in between; `ZOGRAD_KILLS` says how often (200 by
/// default).
#[test]
fn killed_runs_end_in_the_bits_of_one_that_was_not() {
    let kills: u64 = std::env::var("ZOGRAD_KILLS").map_or(200, |n| n.parse().expect("a number"));
    let mut random = Random(7);
    let settings = [
        &["--method", "gv"][..],
        &["--method", "gv-history", "--arithmetic", "plain"],
        &["--method", "greedy", "--weight-decay", "0.1"],
        &[&["--method", "gv"], &ANCHORED[..]].concat(),
        &[&["--method", "mezo"], &TOWARD_START[..]].concat(),
        &[&["--method", "mezo"], &MOMENTUM[..]].concat(),
        &[&["--method", "gv", "--step-scale", "rms"], &MOMENTUM[..]].concat(),
        &[&["--method", "gv"], &LORA[..]].concat(),
        &["--method", "greedy", "--tune", "prefix"],
        &["--method", "tail", "--lr", "1e-4", "--weight-decay", "0.1"],
        &[&["--method", "tail"], &LORA[..]].concat(),
        &["--method", "greedy", "--informed", "tail", "--lr", "1e-6"],
        &["--method", "mezo", "--informed", "tail", "--tune", "lora"],
    ];
    let fresh = |settings: &[&'static str]| short(&[settings, &["--out", "run"]].concat());
    let references = settings.map(|settings| {
        let dir = scratch();
        run(dir.path(), &fresh(settings));
        dir
    });
    let (mut done, mut round) = (0, 0);
    while done < kills {
        let which = round % settings.len();
        let (settings, reference) = (settings[which], &references[which]);
        round += 1;
        let dir = scratch();
        let folder = dir.path().join("run");
        loop {
            let after = Duration::from_millis(random.below(150));
            if !killed(dir.path(), &fresh(settings), after) {
                break;
            }
            done += 1;
            // killed after the summary, its last file, a run is finished: it is not gone on with, and damage
            // to its log would not be mended
            if done >= kills || folder.join("summary.json").exists() {
                break;
            }
            // a crash of the machine may take the ends of files with it
            for name in ["trajectory.zog", "metrics.jsonl"] {
                let file = folder.join(name);
                let Ok(mut bytes) = fs::read(&file) else {
                    continue;
                };
                match random.below(4) {
                    0 => bytes.truncate(bytes.len().saturating_sub(random.below(200) as usize)),
                    1 => bytes.extend([0xA5; 17]),
                    _ => {}
                }
                // the header of the log is written and flushed before the first step
                if name == "metrics.jsonl" || bytes.len() > 1200 {
                    fs::write(&file, bytes).expect("written");
                }
            }
        }
        if !folder.join("summary.json").exists() {
            let args = if folder.join("trajectory.zog").exists() {
                vec!["train", "--resume", "run"]
            } else {
                fresh(settings)
            };
            run(dir.path(), &args);
        }
        assert_same(&folder, &reference.path().join("run"));
    }
    eprintln!("{done} kills in {round} runs");
}
