//! The folder of an interrupted run: log, metrics, summary.

use crate::trial;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use zograd_hostile::{Seen, bytes as damage, json as json_damage};
use zograd_models::Storage;
use zograd_perturb::family::PerturbationSpec;
use zograd_perturb::{Arithmetic, NoiseKind, Selection, noise};
use zograd_runs::folder::{Interrupted, LOG, Origin, RunFolder, RunRecord, SEALS, metrics_seals};
use zograd_select::MethodSpec;
use zograd_trainer::TrainConfig;
use zograd_trainer::trajectory::{FORMAT_VERSION, Header, Record, TrajectoryWriter};

const STEPS: u64 = 4;

/// Damage may double lines, and no more.
const MOST_LINES: usize = 64;

/// A run of four steps, evaluated after every second; the lines of its metrics.
fn run() -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = TrainConfig::new(STEPS, 0.5);
    config.batch_size = 2;
    config.seed = 7;
    config.eval_every = 2;
    config.eval_batch_size = 4;
    let header = Header {
        head_fit: None,
        measured_rate: None,
        informed: None,
        adapter: None,
        format: FORMAT_VERSION,
        model: "tiny".into(),
        weights: "sha256:00".into(),
        dtype: Storage::F32,
        dimension: 1000,
        selection: Selection::All,
        noise: NoiseKind::Gaussian,
        perturbation: PerturbationSpec::default(),
        noise_version: noise::VERSION,
        arithmetic: Arithmetic::Exact,
        stands_still: false,
        eps: 1e-3,
        method: MethodSpec::new("mezo"),
        config,
    };
    let claimed = RunFolder::claim(folder.path().to_owned()).expect("a folder");
    let origin = Origin::default();
    drop(RunFolder::create(claimed, ("", None), &"", &origin).expect("a run folder"));
    let path = folder.path().join(LOG);
    let mut log = TrajectoryWriter::create(&path, header).expect("a log");
    let untuned = r#"{"kind":"eval","step":0,"forwards":0,"dev_accuracy":0.5,"dev_loss":0.8,"best":true,"seconds":0.0,"eval_seconds":0.1}"#;
    let mut lines = vec![untuned.to_owned()];
    for step in 1..=STEPS {
        let record = Record {
            step,
            lr: 0.5,
            weight_decay: 0.0,
            update: Default::default(),
            losses: vec![0.5, 0.25],
            skipped: None,
        };
        log.append(&record).expect("written");
        lines.push(format!(
            r#"{{"kind":"step","step":{step},"loss":0.375,"losses":[0.5,0.25],"projected_gradient":1.0,"update_norm":0.1,"lr":0.5,"forwards":{},"tokens":{},"seconds":{}.5,"passes":{},"peak_memory_bytes":1000}}"#,
            2 * step,
            20 * step,
            step,
            3 * step
        ));
        if step % 2 == 0 {
            lines.push(format!(
                r#"{{"kind":"eval","step":{step},"forwards":{},"dev_accuracy":0.5,"dev_loss":0.7,"best":true,"seconds":{step}.5,"eval_seconds":0.1}}"#,
                2 * step
            ));
        }
    }
    (folder, lines)
}

/// Reads the run as a report does, and goes through what resuming needs of it.
fn read(folder: &Path) -> Seen {
    if let Ok(run) = RunRecord::read(folder) {
        assert!(run.steps.len() <= MOST_LINES);
    }
    let run = Interrupted::read(folder, true, None).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains(folder.to_str().expect("UTF-8")), "{text}");
        text
    })?;
    assert_eq!(run.records().len(), run.steps.len());
    let state = run.state();
    let summary = state.summary();
    // what the rest of the run adds up to must fit
    assert!(summary.tokens < 1 << 61 && summary.passes < 1 << 61 && summary.forwards < 1 << 61);
    assert!(summary.seconds.is_finite() && summary.steps <= STEPS);
    match run.steps.len() as u64 {
        STEPS => Ok(()),
        n => Err(format!("{n} whole steps")),
    }
}

#[test]
fn damaged_metrics() {
    let (folder, lines) = run();
    let path = folder.path().join("metrics.jsonl");
    let read = |bytes: &[u8]| {
        // sealed as if a run had written it, so that the reader is tried
        fs::write(folder.path().join(SEALS), metrics_seals(bytes)).expect("written");
        fs::write(&path, bytes).expect("written");
        read(folder.path())
    };
    let whole = (lines.join("\n") + "\n").into_bytes();
    assert_eq!(read(&whole), Ok(()));
    trial("metrics.jsonl, bytes", 500).run(damage::damaged(whole.clone()), read);
    trial("metrics.jsonl, cut", 500).each(damage::truncations(&whole), read);
    let files = (0..lines.len()).prop_flat_map(move |which| {
        let lines = lines.clone();
        json_damage::damaged(lines[which].as_bytes()).prop_map(move |line| {
            let mut lines: Vec<Vec<u8>> = lines.iter().map(|l| l.as_bytes().to_vec()).collect();
            lines[which] = line;
            lines.push(Vec::new());
            lines.join(&b'\n')
        })
    });
    trial("metrics.jsonl, values", 1000).run(files, read);
}

#[test]
fn damaged_logs_and_summaries_beside_metrics() {
    let (folder, lines) = run();
    let metrics = lines.join("\n") + "\n";
    fs::write(folder.path().join(SEALS), metrics_seals(metrics.as_bytes())).expect("written");
    fs::write(folder.path().join("metrics.jsonl"), metrics).expect("written");
    let path = folder.path().join(LOG);
    let log = fs::read(&path).expect("a log");
    trial("run folder, log", 375).run(damage::damaged(log.clone()), |bytes| {
        fs::write(&path, bytes).expect("written");
        read(folder.path())
    });
    fs::write(&path, log).expect("written");
    let summary = br#"{"stop": "interrupted", "steps": 4}"#;
    trial("summary.json", 250).run(json_damage::damaged(summary), |bytes| {
        fs::write(folder.path().join("summary.json"), bytes).expect("written");
        read(folder.path())
    });
}
