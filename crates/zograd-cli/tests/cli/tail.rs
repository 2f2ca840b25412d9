//! The tail through the real binary.

use crate::baselines::learns_in_every_mode;
use crate::errors::refused;
use crate::killed::the_rows_have_all_of_it;
use crate::support::{run, scratch, short};

#[test]
fn it_learns_in_every_mode_and_its_weights_load() {
    // a forward a step
    learns_in_every_mode("tail", 60, true);
}

#[test]
fn a_resumed_run_makes_its_steps_again() {
    the_rows_have_all_of_it(scratch().path(), &["--method", "tail", "--lr", "1e-3"]);
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
