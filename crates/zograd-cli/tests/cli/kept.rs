//! HiZOO and ZO-AdaMU: a number for each weight that no file has, and that a log leads to again.

use crate::errors::refused;
use crate::killed::the_log_has_all_of_it;
use crate::support::{run_json, scratch, small};

/// With steps that are exact and with steps that round; with settings with which nothing is the same without what is kept.
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
        let shared = ["--steps", "120", "--arithmetic", arithmetic];
        let whole = the_log_has_all_of_it(dir.path(), &[&shared[..], method].concat());
        assert_eq!(whole["forwards"], forwards);
        let parameters = whole["parameters"].as_u64().expect("a number");
        assert_eq!(whole["state_bytes"], 4 * parameters);

        // it is not MeZO, whose noise has the same seeds
        let mezo = small("mezo", &[&shared[..], &["--method", "mezo"]].concat());
        let mezo = run_json(dir.path(), &mezo);
        assert_ne!(mezo["weights"], whole["weights"]);
        assert_eq!(mezo.get("state_bytes"), None);
    }
}

#[test]
fn what_does_not_go_with_a_state_is_refused_by_name() {
    let dir = scratch();
    let anchored = [
        "--backend",
        "flex",
        "--dtype",
        "f16",
        "--arithmetic",
        "anchored",
    ];
    let always = [
        (&["--noise", "rademacher"][..], "--noise rademacher"),
        (&anchored, "--arithmetic anchored"),
    ];
    let own = [
        ("hizoo", &["--hessian-share", "2"][..], "--hessian-share 2"),
        ("adamu", &["--anneal-to", "1024"], "--anneal-to 1024"),
    ];
    let with = |method| always.map(|(args, said)| (method, args, said));
    let all = [with("hizoo"), with("adamu"), own].concat();
    for (method, args, said) in all {
        let args = [&["train", "--method", method, "--out", "run"][..], args].concat();
        refused(dir.path(), &args, &[said]);
        assert!(!dir.path().join("run").exists());
    }
}
