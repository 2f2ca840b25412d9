//! `summary.json` says what the run returned.

use crate::support::{text, tiny};
use zograd_runs::folder::{CONFIG, Origin, RunFolder, RunRecord};
use zograd_runs::{Quiet, Runs};

#[test]
fn a_summary_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let given = tiny().with("out", text(&out)).with("lr", 1e30);
    let mut summary = Runs::new().train(given, &mut Quiet).expect("a summary");
    let read = RunRecord::read(&out).expect("a run");
    let written = read.summary.expect("a summary");
    // all of it; a loss that is not a number equals nothing
    assert_eq!(format!("{written:?}"), format!("{summary:?}"));
    assert!(written.loss_before.is_finite() && written.before().is_some());

    summary.loss_before = f64::NAN;
    summary.loss_after = f64::INFINITY;
    summary.best_step = None;
    summary.peak_memory_bytes = None;
    summary.forwards = u64::MAX;
    summary.scores.insert("f1_after".into(), (1.0 / 3.0).into());
    let again = folder.path().join("again");
    let claimed = RunFolder::claim(again.clone()).expect("a new folder");
    let writer =
        RunFolder::create(claimed, ("", None), &[0], &Origin::default()).expect("a folder");
    writer.summarise(&summary).expect("written");
    assert!(again.join(CONFIG).is_file());
    let read = RunRecord::read(&again).expect("a run");
    let read = read.summary.expect("a summary");
    // JSON knows no infinity
    summary.loss_after = f64::NAN;
    assert_eq!(format!("{read:?}"), format!("{summary:?}"));
}
