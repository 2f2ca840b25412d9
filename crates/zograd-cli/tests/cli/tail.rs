//! The tail through the real binary.

use crate::baselines::learns_in_every_mode;
use crate::errors::refused;
use crate::support::{metrics, run, scratch, short};
use std::fs;

#[test]
fn it_learns_in_every_mode_and_its_weights_load() {
    // a forward a step
    learns_in_every_mode("tail", 60, true);
}

/// Whatever was lost: a run that is resumed without its checkpoint and its best weights makes them again.
#[test]
fn a_resumed_run_makes_its_steps_again() {
    let dir = scratch();
    let tail = ["--method", "tail", "--lr", "1e-3"];
    let words = |out: &'static str, steps: &'static str| {
        let mut words = short(&[&tail[..], &["--out", out]].concat());
        words[2] = steps;
        words
    };
    run(dir.path(), &words("whole", "30"));
    run(dir.path(), &words("run", "24"));
    // there is no checkpoint of a finished run: all steps are made again
    run(dir.path(), &["train", "--resume", "run", "--steps", "30"]);
    let best = |run: &str| fs::read(dir.path().join(run).join("best/model.safetensors"));
    assert_eq!(
        best("run").expect("weights"),
        best("whole").expect("weights")
    );
    let of = |run: &str| metrics(&dir.path().join(run));
    assert_eq!(of("run"), of("whole"));
    let log = |run: &str| fs::read(dir.path().join(run).join("trajectory.zog"));
    assert_eq!(log("run").expect("a log"), log("whole").expect("a log"));
}

#[test]
fn what_the_tail_cannot_do_is_said() {
    let dir = scratch();
    for (words, parts) in [
        (&["--eps", "1e-3"][..], &["--eps", "tail"][..]),
        (&["--pool", "2"], &["--pool", "tail"]),
        (&["--micro-batch", "2"], &["--micro-batch", "adam"]),
        (&["--perturbation", "lozo"], &["--perturbation", "tail"]),
        (&["--objective", "accuracy"], &["accuracy", "no gradient"]),
        (
            &["--backend", "flex", "--dtype", "bf16"],
            &["--dtype bf16", "f32"],
        ),
        (&["--guard", "flat-loss=stop"], &["--guard", "flat-loss"]),
        (
            &["--guard", "exploding-gradient=skip"],
            &["exploding-gradient", "have moved"],
        ),
        (&["--tail-step", "adam"], &["--tail-step", "normalised"]),
    ] {
        let words = [&["train", "--method", "tail"], words].concat();
        refused(dir.path(), &words, parts);
    }
    refused(
        dir.path(),
        &["train", "--method", "gv", "--tail-step", "sgd"],
        &["--tail-step", "gv"],
    );
    run(dir.path(), &short(&["--method", "tail", "--out", "run"]));
    let log = ["--log", "run/trajectory.zog"];
    let rows = &["tail", "follows from its rows"][..];
    refused(
        dir.path(),
        &[&["replay", "--out", "new"][..], &log].concat(),
        rows,
    );
    refused(dir.path(), &["log", "verify", "run/trajectory.zog"], rows);
    refused(dir.path(), &["export", "run", "--out", "new"], rows);
    run(dir.path(), &["log", "show", "run/trajectory.zog"]);
}
