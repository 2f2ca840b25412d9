//! Sweeps and comparisons that ranks share, here threads of one process: they leave what a process alone leaves.

use crate::support::{StopAfter, text, tiny};
use serde_json::Value;
use std::fs;
use std::path::Path;
use zograd_ranks::threads;
use zograd_runs::experiment::{Amount, Axis, Comparison, Lists, Rules, Sweep, SweepReport};
use zograd_runs::{Given, Quiet, Ranks, Result, RunError, Runs, Watch};

/// What comes of `each` on so many ranks.
fn on<T: Send>(size: usize, each: impl Fn(usize, Runs) -> T + Sync) -> Vec<T> {
    let each = &each;
    std::thread::scope(|scope| {
        let ranks = threads(size).into_iter().map(Ranks::new).enumerate();
        let running =
            ranks.map(|(rank, ranks)| scope.spawn(move || each(rank, Runs::new().on_ranks(ranks))));
        let running: Vec<_> = running.collect();
        let ends = running.into_iter().map(|thread| thread.join());
        ends.map(|end| end.expect("no panic")).collect()
    })
}

fn lists() -> Lists {
    let mut lists = Lists::default();
    lists.method = vec!["mezo".into(), "greedy".into()];
    lists.lr = vec![1e-5, 1e30, 1e-4];
    lists.seed = vec![3, 4];
    lists
}

fn asked(out: &Path) -> Given {
    tiny()
        .without("lr")
        .with("threads", 1)
        .with("out", text(out))
}

fn sweep(out: &Path, runs: &Runs, watch: &mut dyn Watch) -> Result<SweepReport> {
    Sweep::new(lists(), asked(out), runs)?.run(runs, watch)
}

/// A report as it is written, without times, memory and the name of its folder.
fn written(file: &Path) -> Value {
    fn without(value: &mut Value, folder: &str) {
        match value {
            Value::Object(fields) => {
                fields.retain(|key, _| !key.contains("seconds") && key != "peak_memory_bytes");
                fields.values_mut().for_each(|field| without(field, folder));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| without(item, folder)),
            Value::String(text) => *text = text.replace(folder, ""),
            _ => {}
        }
    }
    let mut value = serde_json::from_slice(&fs::read(file).expect("a report")).expect("JSON");
    without(&mut value, &text(file.parent().expect("a folder")));
    value
}

/// The logs of the runs in a folder, by their names.
fn logs(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let runs = fs::read_dir(folder).expect("a folder").flatten();
    let logs = runs.filter_map(|run| {
        let log = fs::read(run.path().join("trajectory.zog")).ok()?;
        Some((run.file_name().to_string_lossy().into_owned(), log))
    });
    let mut logs: Vec<_> = logs.collect();
    logs.sort();
    logs
}

#[test]
fn ranks_share_the_points_of_a_sweep() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let whole = sweep(&at("alone"), &Runs::new(), &mut Quiet).expect("a report");
    assert_eq!((whole.points.len(), whole.missing), (6, 0));
    let reports = on(3, |_, runs| sweep(&at("shared"), &runs, &mut Quiet));
    for report in reports {
        let report = report.expect("a report");
        assert_eq!((report.points.len(), report.missing), (6, 0));
        assert_eq!(report.best, whole.best);
    }
    let [alone, shared] = ["alone", "shared"].map(|name| written(&at(name).join("sweep.json")));
    assert_eq!(alone, shared);
    assert_eq!(logs(&at("alone")).len(), 12);
    assert_eq!(logs(&at("alone")), logs(&at("shared")));
    // nothing else lies there: the file by which ranks find that they see the folder is gone
    let names = |folder: &Path| fs::read_dir(folder).expect("a folder").count();
    assert_eq!(names(&at("alone")), names(&at("shared")));
}

/// One rank is asked to stop while it makes its first run of twelve, and all do; other ranks, and then one process, go on to
/// the same end.
#[test]
fn a_sweep_that_ranks_left_is_gone_on_with() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let longer = |out: &Path, runs: &Runs, watch: &mut dyn Watch| {
        Sweep::new(lists(), asked(out).with("steps", 20), runs)?.run(runs, watch)
    };
    longer(&at("alone"), &Runs::new(), &mut Quiet).expect("a report");
    let parts = on(2, |rank, runs| {
        let mut watch = StopAfter::new(if rank == 0 { u64::MAX } else { 1 });
        longer(&at("parts"), &watch.stopping(&runs), &mut watch)
    });
    for part in parts {
        let part = part.expect("a report");
        assert!(part.missing > 0, "{part:?}");
    }
    let again =
        |runs: &Runs| Sweep::reopen(&at("parts"), &Given::new(), runs)?.run(runs, &mut Quiet);
    for report in on(3, |_, runs| again(&runs)) {
        assert_eq!(report.expect("a report").missing, 0);
    }
    assert_eq!(logs(&at("alone")), logs(&at("parts")));
    again(&Runs::new()).expect("nothing is left to do");
    let [alone, parts] = ["alone", "parts"].map(|name| written(&at(name).join("sweep.json")));
    assert_eq!(alone, parts);
}

#[test]
fn ranks_share_a_comparison() {
    let dir = tempfile::tempdir().expect("a folder");
    let compare = |name: &str, runs: &Runs| {
        let given = asked(&dir.path().join(name)).without("steps");
        let mut rules = Rules::default();
        rules.tuning = vec![Amount::new(Axis::Forwards, 10.0)];
        let given = given.with("forwards", 20);
        Comparison::new(lists(), rules, given, runs)?.run(runs, &mut Quiet)
    };
    let whole = compare("alone", &Runs::new()).expect("a report");
    assert_eq!((whole.methods.len(), whole.missing), (2, 0));
    for report in on(2, |_, runs| compare("shared", &runs)) {
        assert_eq!(report.expect("a report").missing, 0);
    }
    let at = |name: &str, file: &str| dir.path().join(name).join(file);
    let [alone, shared] = ["alone", "shared"].map(|name| written(&at(name, "compare.json")));
    assert_eq!(alone, shared);
    for part in ["tune", "runs"] {
        assert_eq!(logs(&at("alone", part)), logs(&at("shared", part)));
    }
}

/// What one process refuses is refused once by all, and leaves as little; a run that fails ends the sweep on all ranks.
#[test]
fn what_one_rank_refuses_ends_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let refused = |ends: Vec<Result<SweepReport>>, said: &str| {
        for end in ends {
            let error = end.expect_err(said);
            assert!(matches!(error, RunError::Input(_)), "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    };
    let nowhere = |runs: &Runs| {
        let given = asked(&at("new")).with("model", text(&at("nowhere")));
        Sweep::new(lists(), given, runs)?.run(runs, &mut Quiet)
    };
    refused(on(2, |_, runs| nowhere(&runs)), "nowhere");
    let other = |rank: usize, runs: Runs| {
        let given = asked(&at("new")).with("batch-size", 2 + rank as i64);
        Sweep::new(lists(), given, &runs)?.run(&runs, &mut Quiet)
    };
    refused(on(2, other), "rank 1 differs from rank 0 in `batch-size`");
    assert!(!at("new").exists());
    // begun, and then one of its runs lies elsewhere
    drop(Sweep::new(lists(), asked(&at("linked")), &Runs::new()).expect("a sweep"));
    #[cfg(unix)]
    {
        fs::create_dir(at("elsewhere")).expect("made");
        let link = at("linked").join("mezo-lr1e-4-eps1e-3-seed3");
        std::os::unix::fs::symlink(at("elsewhere"), link).expect("a link");
        let again = |_, runs: Runs| {
            Sweep::reopen(&at("linked"), &Given::new(), &runs)?.run(&runs, &mut Quiet)
        };
        refused(on(3, again), "it is a link");
        assert_eq!(fs::read_dir(at("elsewhere")).expect("a folder").count(), 0);
    }
}
