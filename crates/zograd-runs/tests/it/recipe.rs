//! Runs whose losses have biases of the options, whose batches are balanced, or whose head was fitted: resumed, replayed,
//! exported, and loaded by whoever.

use crate::support::{StopAfter, refusal, text, tiny};
use std::fs;
use std::path::Path;
use zograd_runs::folder::{BEST, CONFIG, LOG, RunRecord};
use zograd_runs::{Given, Quiet, Replay, Runs, Summary};
use zograd_trainer::StopReason;

fn train(given: &Given, out: &Path) -> Summary {
    let given = given.clone().with("out", text(out));
    Runs::new().train(given, &mut Quiet).expect("a run")
}

fn weights(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("model.safetensors")).expect("weights")
}

/// The settings, together and one by one.
fn recipes() -> Vec<Given> {
    let some = || tiny().with("train-examples", 140).with("batch-size", 4);
    let calibrated = || some().with("calibrate", true);
    vec![
        some().with("balanced", true).with("method", "mezo"),
        calibrated(),
        calibrated()
            .with("dev-examples", 0)
            .with("method", "greedy"),
        some().with("head-fit", 140).with("method", "mezo"),
        calibrated()
            .with("balanced", true)
            .with("head-fit", 136)
            .with("method", "pool-regression")
            .with("pool", 3)
            .with("scale-1d", 5.0)
            .with("scale-positions", 0.0),
        calibrated()
            .with("head-fit", 20)
            .with("arithmetic", "plain"),
        some().with("lr", "auto").with("method", "mezo"),
        calibrated()
            .with("lr", "auto")
            .with("head-fit", 20)
            .with("arithmetic", "plain"),
    ]
}

/// Interrupted anywhere, the run ends in the same bits: log, metrics, and kept weights.
#[test]
fn a_resumed_run_is_one_that_was_never_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    for (at, settings) in recipes().into_iter().enumerate() {
        let whole = folder.path().join(format!("whole-{at}"));
        let summary = train(&settings, &whole);
        for stop in [1, 2] {
            let parts = folder.path().join(format!("parts-{at}-{stop}"));
            let mut watch = StopAfter::new(stop);
            let stopping = watch.stopping(&Runs::new());
            let given = settings.clone().with("out", text(&parts));
            let part = stopping.train(given, &mut watch).expect("a part");
            assert_eq!(part.stop, StopReason::Interrupted);
            let rest = Runs::new()
                .resume(&parts, Given::new(), &mut Quiet)
                .expect("the rest");
            let read = |run: &Path| fs::read(run.join(LOG)).expect("a log");
            assert!(read(&whole) == read(&parts), "the logs of {at}");
            assert!(
                weights(&whole.join(BEST)) == weights(&parts.join(BEST)),
                "the weights of {at}"
            );
            let told = |run: &Path| {
                let run = RunRecord::read(run).expect("a run");
                let steps = run
                    .steps
                    .iter()
                    .map(|s| (s.losses.clone(), s.forwards, s.tokens));
                let evals = run.evals.iter();
                let evals =
                    evals.map(|e| (e.step, e.forwards, e.dev_loss, e.option_biases.clone()));
                (steps.collect::<Vec<_>>(), evals.collect::<Vec<_>>())
            };
            assert_eq!(told(&whole), told(&parts), "{at}");
            let facts = |s: &Summary| {
                let hashes = (s.weights.clone(), s.best_weights.clone(), s.loss_after);
                (hashes, s.option_biases.clone(), s.logit_shift.clone())
            };
            assert_eq!(facts(&summary), facts(&rest), "{at}");
        }
    }
}

/// Where fewer rows are there than were asked for, the budget that a head fit leaves is spent on steps; a resumed run and one of
/// its file have as many.
#[test]
fn a_head_fit_keeps_no_forward_pass_that_it_does_not_make() {
    let folder = tempfile::tempdir().expect("a folder");
    let given = tiny()
        .without("steps")
        .with("method", "mezo")
        .with("batch-size", 16)
        .with("train-examples", 2000)
        .with("dev-examples", 200)
        .with("head-fit", 2000)
        .with("forwards", 140);
    let whole = folder.path().join("whole");
    let summary = train(&given, &whole);
    let rows = summary.counts.train.got as u64;
    assert!(rows < 1200, "{rows}");
    let fitted = rows.div_ceil(16);
    assert_eq!(summary.steps, (140 - fitted) / 2);
    assert_eq!(summary.forwards, fitted + 2 * summary.steps);
    let again = folder.path().join("again");
    let config = Given::read(&whole.join(CONFIG), &Runs::new().keys()).expect("settings");
    assert_eq!(train(&config, &again).weights, summary.weights);
    let parts = folder.path().join("parts");
    let mut watch = StopAfter::new(2);
    let stopping = watch.stopping(&Runs::new());
    let given = given.with("out", text(&parts));
    stopping.train(given, &mut watch).expect("a part");
    let rest = Runs::new().resume(&parts, Given::new(), &mut Quiet);
    assert_eq!(rest.expect("the rest").weights, summary.weights);
}

/// The log leads to the kept weights, with what was folded into them; and so does its export.
#[test]
fn a_replay_ends_in_the_kept_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    for (at, settings) in recipes().into_iter().enumerate() {
        let run = folder.path().join(format!("run-{at}"));
        let summary = train(&settings, &run);
        let mut replay = Replay::new(run.join(LOG), folder.path().join(format!("best-{at}")));
        replay.best = true;
        let replayed = Runs::new().replay(&replay, &mut Quiet).expect("replayed");
        assert_eq!(replayed.as_exported, Some(true), "{at}");
        assert!(weights(&replay.out) == weights(&run.join(BEST)), "{at}");
        let last = Replay::new(run.join(LOG), folder.path().join(format!("last-{at}")));
        let replayed = Runs::new().replay(&last, &mut Quiet).expect("replayed");
        assert_eq!(
            (replayed.as_exported, replayed.weights),
            (Some(true), summary.weights.clone())
        );
        let packed = folder.path().join(format!("packed-{at}"));
        let packed = Runs::new()
            .export(&run, &packed, &mut Quiet)
            .expect("packed");
        let again = Replay::new(packed.log(), folder.path().join(format!("again-{at}")));
        let replayed = Runs::new().replay(&again, &mut Quiet).expect("replayed");
        assert_eq!(replayed.as_exported, Some(true), "{at}");
        assert!(weights(&again.out) == weights(&run.join(BEST)), "{at}");
    }
}

/// The kept weights alone have the scores that the run says: the biases are in them. f32 on the way.
#[test]
fn kept_weights_have_the_biases_of_the_options() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shifted = 0;
    for (at, settings) in recipes().into_iter().enumerate() {
        let run = folder.path().join(format!("run-{at}"));
        let summary = train(&settings, &run);
        let calibrated = settings.get("calibrate").is_some();
        assert_eq!(summary.option_biases.len(), if calibrated { 2 } else { 0 });
        assert_eq!(summary.logit_shift.len(), summary.option_biases.len());
        assert!(!run.join(BEST).join("option-biases.json").exists());
        let given = Given::new()
            .with("model", text(&run.join(BEST)))
            .with("test-examples", 500);
        let measured = Runs::new().measure(given, &mut Quiet).expect("measured");
        let whole = settings.with("test-examples", 500).with("steps", 4);
        let again = train(&whole, &folder.path().join(format!("again-{at}")));
        let (ours, theirs) = (measured.loss.expect("labels"), again.loss_after);
        assert!((ours - theirs).abs() < 1e-5, "{at}: {ours} {theirs}");
        shifted += usize::from(!summary.logit_shift.is_empty());
    }
    assert_eq!(shifted, 5);
}

/// Where weights have no place for them the biases lie beside them, and are used with them.
#[test]
fn biases_of_an_adapter_lie_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = tiny()
        .with("calibrate", true)
        .with("tune", "lora")
        .with("train-examples", 64)
        .with("test-examples", 500);
    let run = folder.path().join("run");
    let summary = train(&settings, &run);
    assert_eq!(
        (summary.option_biases.len(), summary.logit_shift.len()),
        (2, 0)
    );
    let beside = run.join(BEST).join("option-biases.json");
    let measure = || {
        let given = Given::new()
            .with("adapter", text(&run.join(BEST)))
            .with("test-examples", 500);
        let measured = Runs::new().measure(given, &mut Quiet).expect("measured");
        measured.loss.expect("labels")
    };
    assert!((measure() - summary.loss_after).abs() < 1e-9);
    // those of the best weights go with them, and with no others
    for best in [true, false] {
        let out = folder.path().join(format!("again-{best}"));
        let mut again = Replay::new(run.join(LOG), &out);
        again.best = best;
        Runs::new().replay(&again, &mut Quiet).expect("replayed");
        assert_eq!(out.join("option-biases.json").exists(), best);
    }
    fs::remove_file(beside).expect("it was there");
    assert!((measure() - summary.loss_after).abs() > 1e-3);
}

/// The fit of the head is the start of the run: the log says it, its forwards count, and the model as it was given is what
/// "before" is about.
#[test]
fn a_head_fit_counts_and_is_the_first_candidate() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = tiny().with("train-examples", 140).with("batch-size", 4);
    let one = train(&plain, &folder.path().join("plain"));
    let fitted = plain.with("head-fit", 140).with("lr", 0.0);
    let run = folder.path().join("fitted");
    let two = train(&fitted, &run);
    assert_eq!(two.forwards, one.forwards + 35);
    assert!(two.tokens > one.tokens);
    assert_eq!(two.loss_before, one.loss_before);
    assert!(two.loss_after != two.loss_before);
    let record = RunRecord::read(&run).expect("a run");
    assert_eq!((record.evals[0].step, record.evals[0].forwards), (0, 35));
    let config = fs::read_to_string(run.join(CONFIG)).expect("settings");
    assert!(config.contains("head-fit = 140\n"), "{config}");
}

/// A rate that is measured counts what it took, is the same whenever it is measured, falls to 0, and moves no weight.
#[test]
fn a_learning_rate_is_measured_before_the_first_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let some = tiny().with("batch-size", 4).with("method", "mezo");
    let plain = train(&some, &folder.path().join("plain"));
    let run = folder.path().join("auto");
    let auto = train(&some.clone().with("lr", "auto"), &run);
    let rate = auto.measured_rate.clone().expect("measured");
    // both sides of sixteen directions
    assert_eq!(rate.forwards, 32);
    assert_eq!(auto.forwards, plain.forwards + rate.forwards);
    assert_eq!(auto.loss_before, plain.loss_before);
    assert!((rate.reach - 1.0).abs() < 1e-6, "{rate:?}");
    let record = RunRecord::read(&run).expect("a run");
    let rates: Vec<f64> = record.steps.iter().map(|step| step.lr).collect();
    let expected = [1.0, 0.75, 0.5, 0.25].map(|left| rate.lr * left);
    for (found, expected) in rates.iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-12, "{rates:?}");
    }
    let config = fs::read_to_string(run.join(CONFIG)).expect("settings");
    assert!(config.contains("lr = \"auto\"\n"), "{config}");
    let again = train(&some.with("lr", "auto"), &folder.path().join("again"));
    assert_eq!(
        (again.measured_rate, again.weights),
        (auto.measured_rate, auto.weights)
    );
    // a budget of forward passes holds all of them
    let settings = tiny()
        .without("steps")
        .with("method", "mezo")
        .with("forwards", 60);
    let budget = train(&settings.with("lr", "auto"), &folder.path().join("budget"));
    let rate = budget.measured_rate.clone().expect("measured");
    assert_eq!((rate.forwards, budget.forwards, budget.steps), (8, 60, 26));
    let card = fs::read_to_string(folder.path().join("budget/best/README.md")).expect("a card");
    assert!(card.contains(&format!("{:.2e}", rate.lr)), "{card}");
    // its settings have what the budget came to, and make the same run again
    let config = folder.path().join("budget").join(CONFIG);
    let runs = Runs::new();
    let given = || Given::read(&config, &runs.keys()).expect("settings");
    let again = train(&given(), &folder.path().join("budget again"));
    assert_eq!(
        (again.measured_rate, again.weights),
        (budget.measured_rate, budget.weights)
    );
    // a rate that is given wants to know nothing of how another one was measured
    let number = Given::new().with("lr", 1e-5).or(given());
    let settings = runs.check(number).expect("possible");
    assert_eq!(settings.config.lr, 1e-5);
}

/// A tenth of the tokens, but for four directions, is what measuring may take, and the same is measured without the budget.
#[test]
fn a_rate_is_measured_within_a_budget_of_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let some = tiny()
        .without("steps")
        .with("method", "mezo")
        .with("batch-size", 4)
        .with("lr", "auto");
    let at = |name: &str| folder.path().join(name);
    let run = train(&some.clone().with("tokens", 6000), &at("run"));
    let rate = run.measured_rate.clone().expect("measured");
    assert!((8..32).contains(&rate.forwards), "{rate:?}");
    assert!(rate.forwards == 8 || rate.tokens <= 600, "{rate:?}");
    let given = Given::read(&at("run").join(CONFIG), &Runs::new().keys()).expect("settings");
    let steps = i64::try_from(run.steps).expect("a few");
    let again = train(&Given::new().with("steps", steps).or(given), &at("again"));
    assert_eq!(again.weights, run.weights);
    let error = Runs::new()
        .train(
            some.with("tokens", 10).with("out", text(&at("none"))),
            &mut Quiet,
        )
        .expect_err("nothing is left")
        .to_string();
    assert!(
        error.starts_with("`tokens = 10`: measuring the learning rate"),
        "{error}"
    );
    assert!(!at("none").exists());
}

#[test]
fn a_learning_rate_is_not_measured_where_there_is_no_curvature() {
    for (setting, value) in [
        ("method", "tail"),
        ("method", "adam"),
        ("tune", "lora"),
        ("tune", "prefix"),
        ("objective", "accuracy"),
    ] {
        let error = refusal(&Given::new().with("lr", "auto").with(setting, value));
        assert!(error.starts_with("`lr = auto`: "), "{error}");
    }
    let error = refusal(&Given::new().with("lr", 1e-5).with("lr-forwards", 8));
    assert_eq!(
        error,
        "`lr-forwards = 8`: nothing is measured without `lr = auto`"
    );
    let error = refusal(&Given::new().with("method", "adam").with("lr-forwards", 8));
    assert!(
        error.ends_with("zeroth-order methods; leave it out"),
        "{error}"
    );
    // who says how it is measured wants it measured
    let resolved = Runs::new().check(Given::new().with("lr-forwards", 8));
    let measuring = resolved.expect("resolves").measuring;
    assert_eq!(measuring.map(|measuring| measuring.directions), Some(4));
    for odd in [9, 6, 34] {
        let given = Given::new().with("lr", "auto").with("lr-forwards", odd);
        let error = refusal(&given);
        assert!(error.ends_with("an even number from 8 to 32"), "{error}");
    }
    let error = refusal(&Given::new().with("lr", "fast"));
    assert_eq!(error, "`lr = fast`: it takes a number, or auto");
}

#[test]
fn what_does_not_go_together_is_refused_by_name() {
    let refused = |given: Given| {
        let folder = tempfile::tempdir().expect("a folder");
        let given = given.with("out", text(&folder.path().join("run")));
        let error = Runs::new()
            .train(given, &mut Quiet)
            .map(drop)
            .expect_err("refused");
        assert!(!folder.path().join("run").exists());
        error.to_string()
    };
    for objective in ["teacher-forcing", "accuracy"] {
        let error = refused(tiny().with("calibrate", true).with("objective", objective));
        let start = "`calibrate`: only with `objective = classification`";
        assert!(
            error.starts_with(start) && error.contains(objective),
            "{error}"
        );
    }
    for key in ["calibrate", "head-fit"] {
        let value: toml::Value = if key == "calibrate" {
            true.into()
        } else {
            16.into()
        };
        for (method, family) in [("adam", "adam"), ("linear-probing", "linear-probing")] {
            let error = refusal(&Given::new().with("method", method).with(key, value.clone()));
            let said = format!("`{key}`: {family} has none; zeroth-order methods have");
            assert_eq!(error, said);
        }
    }
    let error = refusal(
        &Given::new()
            .with("method", "linear-probing")
            .with("balanced", true),
    );
    assert_eq!(
        error,
        "`balanced`: linear-probing has none; methods with steps have"
    );
    let error = refusal(&Given::new().with("tune", "lora").with("head-fit", 100));
    assert!(
        error.starts_with("`head-fit = 100`: not with `tune = lora`"),
        "{error}"
    );
    let error = refusal(&Given::new().with("forwards", 10).with("head-fit", 160));
    let said = "`forwards = 10`: 10 forwards are made before the first step (`head-fit`; say so with \
                `train-examples` if there are fewer rows), and one step of this method takes 6";
    assert_eq!(error, said);
}
