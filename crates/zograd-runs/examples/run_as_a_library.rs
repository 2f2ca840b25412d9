//! The life of a run from Rust, with the model and the task that are built in: trained, interrupted, resumed, read
//! back, replayed, and swept for a better learning rate.
//!
//!     cargo run --release --example run_as_a_library

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_runs::experiment::{Lists, Sweep};
use zograd_runs::folder::RunRecord;
use zograd_runs::{Given, Quiet, Replay, Runs, Watch};
use zograd_trainer::{StepRecord, StopReason};

/// Looks on, and asks the run to stop after its third step, as a signal would.
struct Impatient(Arc<AtomicBool>);

impl Watch for Impatient {
    fn on_step(&mut self, step: &StepRecord) {
        println!("step {}: loss {:.4}", step.step, step.loss);
        self.0.store(step.step == 3, Ordering::Relaxed);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let out = |name: &str| at(name).display().to_string();

    // settings by key, as a file has them; what is not given has a default
    let settings = Given::new()
        .with("method", "gv")
        .with("steps", 8)
        .with("eval-every", 4)
        .with("batch-size", 4)
        .with("train-examples", 32)
        .with("dev-examples", 16)
        .with("test-examples", 16);
    let runs = Runs::new();
    let whole = runs.train(settings.clone().with("out", out("whole")), &mut Quiet)?;

    // the same, interrupted
    let stop = Arc::new(AtomicBool::new(false));
    let stoppable = runs.clone().stopped_by(stop.clone());
    let part = settings.clone().with("out", out("run"));
    let part = stoppable.train(part, &mut Impatient(stop))?;
    assert_eq!((part.stop, part.steps), (StopReason::Interrupted, 3));

    // and resumed, by this process or another: it ends where the uninterrupted run did
    let resumed = runs.resume(&at("run"), Given::new(), &mut Quiet)?;
    assert_eq!((resumed.stop, resumed.steps), (StopReason::Finished, 8));
    assert_eq!(resumed.scores, whole.scores);

    // a folder says all about its run
    let [first, second] = [RunRecord::read(&at("whole"))?, RunRecord::read(&at("run"))?];
    for (one, other) in first.steps.iter().zip(&second.steps) {
        assert_eq!((one.step, &one.losses), (other.step, &other.losses));
    }
    assert_eq!((first.steps.len(), second.steps.len()), (8, 8));
    println!(
        "method {}, lr {}",
        second.setting("method"),
        second.setting("lr")
    );

    // the best weights are some tens of bytes a step: the log, and the hash of what it leads to
    let small = runs.export(&at("run"), &at("small"), &mut Quiet)?;
    let rebuilt = runs.replay(&Replay::new(small.log(), at("rebuilt")), &mut Quiet)?;
    assert_eq!(rebuilt.weights, small.manifest.weights);
    println!("{} bytes lead to {}", small.bytes, rebuilt.weights);

    // which learning rate?
    let mut rates = Lists::default();
    rates.lr = vec![1e-5, 1e-4];
    let sweep = Sweep::new(rates, settings.with("out", out("sweep")), &runs)?;
    let report = sweep.run(&runs, &mut Quiet)?;
    assert_eq!((report.points.len(), report.missing), (2, 0));
    let best = report.best.ok_or("both diverged")?;
    println!(
        "best: lr {:e}, development score {:.3}",
        best.lr, best.dev_score
    );
    Ok(())
}
