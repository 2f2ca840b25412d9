//! HiZOO and ZO-AdaMU: a number for each weight that no file has, and that a log leads to again.

use crate::support::{json, metrics, run, run_json, scratch, start, until, zograd};

/// A run of 120 steps, evaluated every 12.
fn train<'a>(out: &'a str, arithmetic: &'a str, method: &[&'a str]) -> Vec<&'a str> {
    let shared = [
        "train",
        "--steps",
        "120",
        "--dev-examples",
        "16",
        "--test-examples",
        "8",
        "--train-examples",
        "64",
        "--batch-size",
        "4",
        "--lr",
        "1e-4",
        "--json",
        "--arithmetic",
        arithmetic,
        "--out",
        out,
    ];
    [&shared[..], method].concat()
}

/// A run that is killed behind a checkpoint is resumed to the same bits, and its log replayed, with steps that are exact and
/// with steps that round; with settings with which nothing is the same without what is kept.
#[test]
fn a_run_is_resumed_and_replayed_with_what_it_has_learnt() {
    let hizoo = ["--method", "hizoo", "--hessian-share", "1e-3"].to_vec();
    let adamu = [
        "--method",
        "adamu",
        "--anneal-from",
        "5",
        "--anneal-to",
        "90",
    ]
    .to_vec();
    let methods = [(&hizoo, 360), (&adamu, 240)];
    let runs = methods.map(|run| ["exact", "plain"].map(|arithmetic| (run, arithmetic)));
    for ((method, forwards), arithmetic) in runs.into_iter().flatten() {
        let dir = scratch();
        let whole = run_json(dir.path(), &train("whole", arithmetic, method));
        assert_eq!(
            (&whole["skipped"], &whole["forwards"]),
            (&0.into(), &forwards.into())
        );
        let parameters = whole["parameters"].as_u64().expect("a number");
        assert_eq!(whole["state_bytes"], 4 * parameters);

        let mut child = start(dir.path(), &train("killed", arithmetic, method));
        until(&mut child, &dir.path().join("killed/metrics.jsonl"), 8_000);
        child.kill().expect("killed");
        child.wait().expect("ended");
        run(dir.path(), &["train", "--resume", "killed"]);
        let resumed = json(&dir.path().join("killed/summary.json"));
        for key in ["weights", "best_weights"] {
            assert_eq!(resumed[key], whole[key], "{arithmetic} {key}");
        }
        let lines = |run: &str| metrics(&dir.path().join(run));
        assert_eq!(lines("killed"), lines("whole"), "{arithmetic}");

        let log = "whole/trajectory.zog";
        let replayed = run(dir.path(), &["replay", "--log", log, "--out", "again"]).stdout;
        let replayed = String::from_utf8(replayed).expect("UTF-8");
        let hash = whole["weights"].as_str().expect("a hash");
        assert!(replayed.contains(hash), "{replayed}");
        run(dir.path(), &["log", "verify", log]);

        // it is not MeZO, whose noise has the same seeds
        let mezo = run_json(
            dir.path(),
            &train("mezo", arithmetic, &["--method", "mezo"]),
        );
        assert_ne!(mezo["weights"], whole["weights"]);
        assert_eq!(mezo.get("state_bytes"), None);
    }
}

#[test]
fn what_does_not_go_with_a_state_is_refused_by_name() {
    let dir = scratch();
    let always = [
        (&["--noise", "rademacher"][..], "--noise rademacher"),
        (
            &[
                "--backend",
                "flex",
                "--dtype",
                "f16",
                "--arithmetic",
                "anchored",
            ],
            "--arithmetic anchored",
        ),
    ];
    let own = [
        ("hizoo", &["--hessian-share", "2"][..], "--hessian-share 2"),
        ("adamu", &["--anneal-to", "1024"], "--anneal-to 1024"),
    ];
    let with = |method| always.map(|(args, said)| (method, args, said));
    let all = [with("hizoo"), with("adamu"), own].concat();
    for (method, args, said) in all {
        let args = [&["train", "--method", method, "--out", "run"][..], args].concat();
        let output = zograd(dir.path(), &args)
            .output()
            .expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(said) && error.lines().count() == 1,
            "{error}"
        );
        assert!(!dir.path().join("run").exists());
    }
}
