//! Runs from Rust: resumed, with a method and a task of one's own, and gone wrong.

use crate::support::{StopAfter, text, tiny};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use zograd_runs::folder::{BEST, CONFIG, LOG, RunRecord};
use zograd_runs::{Given, Quiet, Replay, RunError, Runs, Summary, Watch};
use zograd_select::{
    Action, Configured, Direction, Method, Setting, SkipReason, StepContext, Strategy,
    StrategyError, Told, Update,
};
use zograd_tasks::{Cloze, DataError, Row, Sample, Task};
use zograd_trainer::StopReason;

fn train(runs: &Runs, given: &Given, out: &Path) -> Summary {
    let given = given.clone().with("out", text(out));
    runs.train(given, &mut Quiet).expect("a run")
}

/// The same, interrupted after a step and resumed by other `Runs` as those of another process are.
fn train_in_two(runs: &Runs, given: &Given, out: &Path, stop: u64) -> Summary {
    let mut watch = StopAfter::new(stop);
    let stopping = watch.stopping(runs);
    let given = given.clone().with("out", text(out));
    let part = stopping.train(given, &mut watch).expect("a part");
    assert_eq!((part.stop, part.steps), (StopReason::Interrupted, stop));
    let resumed = runs.resume(out, Given::new(), &mut Quiet);
    resumed.expect("the rest")
}

/// Everything of a run that does not depend on the clock.
fn assert_same(one: &Path, other: &Path) {
    for file in [LOG, "best/model.safetensors", "examples.json"] {
        let read = |run: &Path| fs::read(run.join(file)).expect(file);
        assert!(read(one) == read(other), "{file} differs");
    }
    let [one, other] = [one, other].map(|run| RunRecord::read(run).expect("a run"));
    let told = |run: &RunRecord| {
        let steps = run.steps.iter();
        let steps: Vec<_> = steps
            .map(|s| (s.step, s.losses.clone(), s.forwards))
            .collect();
        let evals = run.evals.iter();
        let evals: Vec<_> = evals
            .map(|e| (e.step, e.dev_score, e.dev_loss, e.best))
            .collect();
        let summary = run.summary.clone().expect("a summary");
        (steps, evals, summary.scores, summary.loss_after)
    };
    assert_eq!(told(&one), told(&other));
}

#[test]
fn a_resumed_run_is_one_that_was_never_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (runs, settings) = (Runs::new(), tiny().with("pool", 2));
    let whole = folder.path().join("whole");
    train(&runs, &settings, &whole);
    for stop in 1..=3 {
        let parts = folder.path().join(format!("parts-{stop}"));
        let summary = train_in_two(&runs, &settings, &parts, stop);
        assert_eq!((summary.stop, summary.steps), (StopReason::Finished, 4));
        assert_same(&whole, &parts);
    }
}

/// The mean of `width` one-sided slopes.
struct OneSided {
    width: usize,
}

impl Strategy for OneSided {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.width + 1
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let Some((here, there)) = told.split_first() else {
            let there = (0..self.width as u64).map(|k| Direction::unit(step.seed.child(k)));
            let all = std::iter::once(Direction::zero()).chain(there);
            return Ok(Action::Evaluate(all.collect()));
        };
        if told.iter().any(|t| !t.loss.is_finite()) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let mut estimate = Direction::zero();
        for z in there {
            let slope = (z.loss - here.loss) / step.eps;
            estimate.add_scaled(&z.direction, slope / self.width as f64);
        }
        Ok(Action::update_or_skip(Update::new(estimate, 1.0)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Width {
    width: usize,
}

impl Default for Width {
    fn default() -> Self {
        Self { width: 2 }
    }
}

impl Configured for OneSided {
    const NAME: &'static str = "slopes";
    const ABOUT: &'static str = "One-sided slopes";
    const SETTINGS: &'static [Setting] = &[Setting::count("width", "N", "Directions")];
    type Settings = Width;

    fn configured(Width { width }: Width) -> Result<Self, StrategyError> {
        match width {
            0 => Err(StrategyError::setting("width", 0, "use at least 1")),
            width => Ok(Self { width }),
        }
    }
}

#[test]
fn a_method_of_ones_own_is_resumed_and_replayed_like_a_built_in_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let runs = Runs::new().with_method(Method::of::<OneSided>());
    let settings = tiny().with("method", "slopes").with("width", 3);
    let summary = train(&runs, &settings, &at("whole"));
    assert_eq!((summary.method.as_str(), summary.forwards), ("slopes", 16));
    let config = fs::read_to_string(at("whole").join(CONFIG)).expect("settings");
    assert!(
        config.contains("method = \"slopes\"\nwidth = 3\n"),
        "{config}"
    );
    train_in_two(&runs, &settings, &at("parts"), 3);
    assert_same(&at("whole"), &at("parts"));

    let exported = runs.export(&at("parts"), &at("small"), &mut Quiet);
    let replay = Replay::new(exported.expect("packed").log(), at("tuned"));
    let replayed = runs.replay(&replay, &mut Quiet).expect("replayed");
    assert_eq!(replayed.as_exported, Some(true));

    // one letter tells the method's settings from a plural's
    let error = refused(runs.check(tiny().with("width", 3)));
    assert_eq!(error, "`width`: gv has none; slopes has");
    let error = refused(runs.check(settings.clone().with("width", 0)));
    assert_eq!(error, "`width = 0`: use at least 1");
    // a program that does not know it
    let stranger = Runs::new();
    let error = refused(stranger.check(tiny().with("method", "slopes")));
    assert!(error.starts_with("`method = slopes`: "), "{error}");
    let replay = Replay::new(at("parts").join(LOG), at("other"));
    let error = refused(stranger.replay(&replay, &mut Quiet));
    assert!(error.contains("`method = slopes`: "), "{error}");
    assert!(!at("other").exists());
}

/// A method with a setting that every run has.
struct Twin(OneSided);

impl Strategy for Twin {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        self.0.forwards()
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        self.0.next(step, told)
    }
}

impl Configured for Twin {
    const NAME: &'static str = "twin";
    const ABOUT: &'static str = "";
    const SETTINGS: &'static [Setting] = &[Setting::count("seed", "N", "")];
    type Settings = Width;

    fn configured(settings: Width) -> Result<Self, StrategyError> {
        OneSided::configured(settings).map(Self)
    }
}

#[test]
#[should_panic(expected = "`seed` of the method twin is also a setting of every run")]
fn a_setting_of_a_method_cannot_be_one_that_runs_have() {
    drop(Runs::new().with_method(Method::of::<Twin>()));
}

/// Whether a line is about a good day.
struct Days;

impl Task for Days {
    fn name(&self) -> &str {
        "days"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let cloze = Cloze::new(format!("{}\nIt was", row.text("line")?), [" bad", " great"]);
        Ok(Sample {
            row: row.number(),
            cloze,
            calibration: None,
            correct: vec![row.label("good", 2)?],
            answers: Vec::new(),
            chat: None,
        })
    }
}

#[test]
fn a_task_of_ones_own_is_chosen_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let rows = |count: usize| -> String {
        let row = |n: usize| format!("{{\"line\": \"day {n}\", \"good\": {}}}\n", n % 2);
        (0..count).map(row).collect()
    };
    fs::create_dir(at("data")).expect("a folder");
    fs::write(at("data/train.jsonl"), rows(12)).expect("written");
    fs::write(at("data/validation.jsonl"), rows(6)).expect("written");
    let settings = tiny().with("method", "mezo").with("task", "days");
    let settings = settings
        .with("model", "embedded")
        .with("data", text(&at("data")));
    let runs = Runs::new().with_task(Arc::new(Days));
    let summary = train(&runs, &settings, &at("whole"));
    assert_eq!(summary.task, "days");
    assert_eq!((summary.counts.train.got, summary.counts.dev.got), (8, 4));
    train_in_two(&runs, &settings, &at("parts"), 1);
    assert_same(&at("whole"), &at("parts"));

    let measured = Given::new()
        .with("task", "days")
        .with("data", text(&at("data")));
    let measured = measured.with("model", text(&at("whole").join(BEST)));
    let measured = runs.measure(measured, &mut Quiet).expect("measured");
    assert_eq!((measured.task.as_str(), measured.examples), ("days", 6));

    let unknown = settings.with("out", text(&at("other")));
    let error = refused(Runs::new().train(unknown, &mut Quiet));
    assert!(
        error.starts_with("`task`: ") && error.contains("days"),
        "{error}"
    );
    assert!(!at("other").exists());
}

/// What is said of wrong input.
fn refused<T>(result: zograd_runs::Result<T>) -> String {
    match result {
        Err(RunError::Input(problem)) => problem.to_string(),
        Err(other) => panic!("not the input's fault: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn wrong_input_is_the_inputs_fault_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| text(&folder.path().join(name));
    fs::write(at("file"), "").expect("written");
    let (none, below) = (at("none"), at("file") + "/run");
    let before = fs::read_dir(folder.path()).expect("a folder").count();
    let out = format!("`out = {below}`: ");
    for (key, value, said) in [
        ("method", "mezzo", "`method = mezzo`: did you mean mezo?"),
        ("backend", "abacus", "`backend = abacus`: "),
        ("task", "sst2", "`task = sst2` needs `model` and `data`"),
        ("data", "rows", "`data = "),
        ("model", none.as_str(), "`model`: "),
        ("tokenizer", none.as_str(), "no usable tokenizer"),
        ("lora-r", "2", "`lora-r = 2`: it takes a whole number"),
        ("no-key", "x", "unknown key \"no-key\""),
        ("out", below.as_str(), out.as_str()),
    ] {
        let given = tiny().with("out", at("run")).with(key, value);
        let given = match key {
            "lora-r" => given.with("tune", "lora"),
            "model" => given.with("task", "toy"),
            _ => given,
        };
        let error = refused(Runs::new().train(given, &mut Quiet));
        assert!(error.starts_with(said), "{key}: {error}");
    }
    for (key, value, said) in [
        ("lr", -1.0, "`lr = -1`: "),
        ("eps", 0.0, "`eps = 0`: "),
        ("batch-size", 0.0, "`batch-size = 0`: "),
        ("threads", 1025.0, "`threads = 1025`: use 1 to 1024"),
        ("max-length", 1.0, "`max-length = 1`: "),
    ] {
        let given = tiny().with("out", at("run")).with(key, value);
        let error = refused(Runs::new().train(given, &mut Quiet));
        assert!(error.starts_with(said), "{key}: {error}");
    }
    let runs = Runs::new();
    let resume = |run: &str, more| refused(runs.resume(Path::new(run), more, &mut Quiet));
    let error = resume(&at("none"), Given::new());
    assert!(
        error.starts_with("`resume`: this folder holds no run"),
        "{error}"
    );
    let error = resume(&at("none"), Given::new().with("lr", 1.0));
    assert!(
        error.contains("only `threads` and `device` go with it") && error.ends_with("not `lr`"),
        "{error}"
    );
    let after = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(before, after);
}

/// Spoils a run.
enum Spoiler {
    /// Puts a folder where a file of the best weights belongs.
    Best(std::path::PathBuf),
    /// Cannot write what it draws.
    End,
}

impl Watch for Spoiler {
    fn on_step(&mut self, _: &zograd_trainer::StepRecord) {
        if let Self::Best(best) = self
            && best.join("config.json").is_file()
        {
            // the weights of the untuned model are there already
            fs::remove_file(best.join("config.json")).expect("removed");
            fs::create_dir(best.join("config.json")).expect("made");
        }
    }

    fn training_ends(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        match self {
            Self::End => Err("no ink".into()),
            Self::Best(_) => Ok(()),
        }
    }
}

#[test]
fn what_fails_while_running_is_not_the_inputs_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, said) in [("a", "best"), ("b", "no ink")] {
        let out = folder.path().join(name);
        let mut spoiler = match name {
            "a" => Spoiler::Best(out.join(BEST)),
            _ => Spoiler::End,
        };
        let given = tiny().with("method", "mezo").with("out", text(&out));
        match Runs::new().train(given, &mut spoiler) {
            Err(RunError::Running(problem)) => {
                assert!(problem.to_string().contains(said), "{problem}");
            }
            other => panic!("{other:?}"),
        }
        // and what was written is there to be looked at
        assert!(!RunRecord::read(&out).expect("a run").over());
    }
}

/// Weights that are the best are on the disk once, in `best/` and in the checkpoint, and neither is written into.
#[cfg(unix)]
#[test]
fn a_checkpoint_of_the_best_weights_shares_their_file() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().expect("a folder");
    let (runs, out) = (Runs::new(), folder.path().join("run"));
    let settings = tiny()
        .with("lr", 1e-3)
        .with("best-by", "loss")
        .with("dev-examples", 30);
    let summary = train(&runs, &settings, &folder.path().join("full"));
    let mut watch = StopAfter::evaluation(2);
    let given = settings.clone().with("out", text(&out));
    let part = watch
        .stopping(&runs)
        .train(given, &mut watch)
        .expect("a part");
    let file = |name: &str| out.join(name).join("model.safetensors");
    let inode = |name: &str| fs::metadata(file(name)).expect("weights").ino();
    let shared = inode("best") == inode("checkpoint-2");
    assert_eq!(shared, part.best_step == Some(2), "{part:?}");
    assert!(
        shared,
        "choose a learning rate at which step 2 is the best so far"
    );
    let kept = out.join("kept");
    fs::hard_link(file("checkpoint-2"), &kept).expect("a third name");
    let before = fs::read(&kept).expect("weights");
    let rest = runs
        .resume(&out, Given::new(), &mut Quiet)
        .expect("the rest");
    assert_eq!(rest.best_step, summary.best_step);
    assert!(
        fs::read(&kept).expect("weights") == before,
        "it was written into"
    );
    assert_same(&folder.path().join("full"), &out);
}
