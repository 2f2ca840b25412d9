//! Examples with directions of their own, from the command.

use crate::errors::refused;
use crate::killed::the_log_has_all_of_it;
use crate::support::{metrics, scratch};

/// The log has a loss of each example and candidate, and leads to the weights.
#[test]
fn a_run_is_resumed_and_replayed() {
    let two_sided = ["--pool", "2", "--refresh", "1"].to_vec();
    let pool = [
        "--pool",
        "3",
        "--perturbation",
        "subzero",
        "--perturbation-rank",
        "4",
    ]
    .to_vec();
    for (more, candidates) in [(&two_sided, 2), (&pool, 3)] {
        for arithmetic in ["exact", "plain"] {
            let dir = scratch();
            let shared = ["--method", "per-example", "--steps", "90", "--arithmetic"];
            let words = [&shared[..], &[arithmetic], more].concat();
            let whole = the_log_has_all_of_it(dir.path(), &words);
            assert_eq!(whole["forwards"], 90 * candidates);
            let steps = metrics(&dir.path().join("whole"));
            let losses = steps.iter().filter_map(|line| line["losses"].as_array());
            let counts: Vec<usize> = losses.map(Vec::len).collect();
            assert_eq!(counts, vec![4 * candidates; 90], "{arithmetic}");
        }
    }
}

#[test]
fn what_does_not_go_with_it_is_refused_by_name() {
    let dir = scratch();
    for (args, said) in [
        (&["--perturbation", "dense"][..], "--perturbation dense"),
        (&["--tune", "lora"], "--tune lora"),
        (&["--calibrate"], "--calibrate"),
        (&["--lr", "auto"], "--lr auto"),
        (&["--objective", "f1"], "--objective f1"),
        (&["--pool", "1"], "--pool 1"),
    ] {
        let args = [&["train", "--method", "per-example"][..], args].concat();
        refused(dir.path(), &args, &[said]);
    }
}
