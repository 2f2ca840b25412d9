//! `zograd doctor` and `zograd man`.

use crate::support::{run, run_json, scratch};
use std::fs;

#[test]
fn the_doctor_says_which_backends_work_and_where_things_are() {
    let dir = scratch();
    let found = run_json(dir.path(), &["doctor", "--json"]);
    let backends = found["backends"].as_array().expect("backends");
    let names: Vec<&str> = backends.iter().filter_map(|b| b["name"].as_str()).collect();
    assert_eq!(names, ["ndarray", "flex", "cuda", "wgpu"]);
    for backend in &backends[..2] {
        assert!(
            backend["built"] == true && backend["exact"] == true,
            "{backend}"
        );
    }
    assert!(found["hub"]["cache"]["path"].is_string() && found["machine"]["threads"].is_u64());
    let text = String::from_utf8(run(dir.path(), &["doctor"]).stdout).expect("UTF-8");
    assert!(
        text.contains("backend ndarray") && text.contains("works"),
        "{text}"
    );
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let dir = scratch();
    run(dir.path(), &["man", "--out", "man"]);
    for page in [
        "zograd.1",
        "zograd-train.1",
        "zograd-compare.1",
        "zograd-log-show.1",
    ] {
        let text = fs::read_to_string(dir.path().join("man").join(page)).expect(page);
        assert!(text.contains(".TH "), "{page}");
    }
    let text = String::from_utf8(run(dir.path(), &["man"]).stdout).expect("UTF-8");
    assert!(text.contains("zograd") && text.contains(".SH"), "{text}");
}
