//! Sweeps from Rust: what a plan has, and what becomes of it.

use crate::support::{StopAfter, given, text, tiny};
use std::fs;
use std::path::Path;
use zograd_runs::experiment::{Lists, Outcome, SWEEP, Sweep, SweepPlan, SweepReport};
use zograd_runs::folder::RunRecord;
use zograd_runs::{Given, Preset, Quiet, RunError, Runs, Settings};

fn lists(methods: &[&str], lr: &[f64]) -> Lists {
    let mut lists = Lists::default();
    lists.method = methods.iter().map(|name| name.to_string()).collect();
    lists.lr = lr.to_vec();
    lists
}

fn plan(lists: Lists, given: Given) -> Result<SweepPlan, RunError> {
    SweepPlan::new(lists, given, Runs::new().methods())
}

/// The settings of every point, from the plan as it is written down.
fn points(plan: &SweepPlan) -> Vec<Settings> {
    let runs = Runs::new();
    let text = toml::to_string(plan).expect("TOML");
    let read: SweepPlan = toml::from_str(&text).expect("a plan");
    assert_eq!(&read, plan);
    let points = read.points().into_iter();
    let settings = points.map(|point| runs.check(read.settings(&point, 0, runs.methods())));
    settings.collect::<Result<_, _>>().expect(&text)
}

fn written(settings: &Settings, key: &str) -> Option<toml::Value> {
    settings.given().expect("TOML").get(key).cloned()
}

#[test]
fn of_several_methods_each_takes_what_it_has() {
    let asked = given("pool = 6\nqueries = 3");
    let plan = plan(lists(&["mezo", "n-spsa", "gv"], &[1e-5, 1e-6]), asked).expect("a plan");
    assert_eq!(plan.lr, [1e-6, 1e-5]);
    let points = points(&plan);
    let has = |key: &str| -> Vec<Option<i64>> {
        let values = points.iter().map(|point| written(point, key));
        values.map(|v| v?.as_integer()).collect()
    };
    let [three, six] = [Some(3), Some(6)];
    assert_eq!(has("queries"), [None, None, three, three, None, None]);
    assert_eq!(has("pool"), [None, None, None, None, six, six]);
    // as many steps as 600 forwards give
    let steps: Vec<u64> = points.iter().map(|point| point.config.steps).collect();
    assert_eq!(steps, [300, 300, 100, 100, 75, 75]);
}

#[test]
fn a_setting_that_none_of_the_methods_has_is_refused() {
    for (methods, asked, said) in [
        (
            &["mezo", "gv"][..],
            "queries = 3",
            "`queries`: mezo has none; n-spsa has",
        ),
        (
            &["mezo", "greedy"],
            "alpha = 0.5",
            "`alpha`: mezo has none; gv has",
        ),
        (
            &["mezo"],
            "pool = 3",
            "`pool`: mezo has none; gv, greedy, pool-regression, fzoo, per-example have",
        ),
        (
            &["mezo", "gv"],
            "micro-batch = 2",
            "`micro-batch`: mezo has none; adam, adamw have",
        ),
        (
            &["adam"],
            "eps = 1e-3",
            "`eps`: a gradient method does not perturb weights",
        ),
        (
            &["adam", "tail"],
            "tail-step = 'sgd'",
            "`tail-step`: adam has none; tail has",
        ),
        (
            &["tail", "gv"],
            "",
            "`method`: gradient and zeroth-order methods want",
        ),
        (
            &["adam", "gv"],
            "",
            "`method`: gradient and zeroth-order methods want",
        ),
        (
            &["linear-probing"],
            "",
            "`method = linear-probing`: it has nothing to sweep",
        ),
        (
            &["gv"],
            "dev-examples = 0",
            "`dev-examples = 0`: a sweep chooses by",
        ),
    ] {
        let error = plan(lists(methods, &[1e-5]), given(asked)).expect_err(said);
        assert!(matches!(error, RunError::Input(_)));
        assert!(error.to_string().starts_with(said), "{error}");
    }
}

#[test]
fn a_rate_may_be_a_whole_number_and_nothing_else_than_a_number() {
    let whole = plan(Lists::default(), Given::new().with("lr", 1)).expect("a plan");
    assert_eq!(whole.lr, [1.0]);
    let error = plan(Lists::default(), Given::new().with("lr", "1e-4")).expect_err("a text");
    assert_eq!(
        error.to_string(),
        "`lr = 1e-4`: it takes a number: leave the quotation marks away"
    );
    let error = plan(lists(&[], &[f64::NAN]), Given::new()).expect_err("no number");
    assert!(error.to_string().starts_with("`lr = NaN`: "), "{error}");
}

/// The settings of a preset hold for its method wherever that stands, and what the plan says is all that its runs need.
#[test]
fn a_plan_that_begins_from_a_preset() {
    let runs = Runs::new();
    for preset in Preset::all("paper").expect("they parse") {
        let machine = format!("preset = '{}'\nbackend = 'flex'", preset.name);
        for methods in [
            &[][..],
            &["mezo", "gv"],
            &["gv", "mezo"],
            &["greedy", "n-spsa"],
            &["adam", "adamw"],
        ] {
            for tune in ["", "tune = 'full'", "tune = 'lora'"] {
                let asked = given(&format!("{machine}\n{tune}"));
                let plan = plan(lists(methods, &[]), asked).expect("a plan");
                assert_eq!(plan.train.get("preset"), None);
                for point in points(&plan) {
                    if point.method != preset.method() || tune == "tune = 'lora'" {
                        continue;
                    }
                    let method = runs.methods().get(&point.method).expect("known");
                    for own in method.settings {
                        if let Some(value) = preset.train.get(own.key) {
                            let found = written(&point, own.key);
                            assert_eq!(found.as_ref(), Some(value), "{} {methods:?}", preset.name);
                        }
                    }
                }
                if methods.is_empty() && tune.is_empty() {
                    assert_eq!((plan.lr.clone(), plan.eps.clone()), preset.grids());
                }
            }
        }
    }
}

/// What does not depend on the clock and the folder.
fn results(points: &[Outcome]) -> Vec<String> {
    let without = |point: &Outcome| {
        let mut point = point.clone();
        point.seconds = 0.0;
        for run in &mut point.runs {
            run.seconds = 0.0;
            run.run = Default::default();
        }
        format!("{point:?}")
    };
    points.iter().map(without).collect()
}

fn new(folder: &Path) -> Sweep {
    let asked = tiny()
        .without("lr")
        .with("pool", 2)
        .with("out", text(folder));
    Sweep::new(lists(&["mezo", "gv"], &[1e-5, 1e-4]), asked, &Runs::new()).expect("a sweep")
}

#[test]
fn an_interrupted_sweep_is_reopened_and_ends_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let runs = Runs::new();
    let whole = new(&at("whole")).run(&runs, &mut Quiet).expect("a report");
    assert_eq!((whole.points.len(), whole.missing), (4, 0));

    let begun = new(&at("parts"));
    let mut watch = StopAfter::new(3);
    let part = begun
        .run(&watch.stopping(&runs), &mut watch)
        .expect("a report");
    assert_eq!((part.points.len(), part.missing), (0, 4));

    let threads = Given::new().with("threads", 1);
    // one at a time
    let error = Sweep::reopen(&at("parts"), &threads, &Runs::new()).expect_err("begun has it");
    assert!(error.to_string().contains("another process"), "{error}");
    let points = begun.plan.points();
    drop(begun);
    let again = Sweep::reopen(&at("parts"), &threads, &Runs::new()).expect("a sweep");
    assert_eq!(again.plan.points(), points);
    assert_eq!(again.plan.threads(), Some(1));
    let rest: SweepReport = again.run(&runs, &mut Quiet).expect("a report");
    drop(again);
    assert_eq!(rest.missing, 0);
    assert_eq!(results(&rest.points), results(&whole.points));
    assert_eq!(rest.best, whole.best);
    // the point that had begun went on with the threads that were asked for
    let first = RunRecord::read(&rest.points[0].runs[0].run).expect("a run");
    let threads = first.environments.last().expect("where it ran").threads;
    assert_eq!((first.steps.len(), threads), (4, 1));

    // nothing is left to do, and saying so does nothing
    let done = Sweep::reopen(&at("parts"), &Given::new(), &Runs::new()).expect("a sweep");
    let report = done.run(&runs, &mut Quiet).expect("a report");
    assert_eq!(results(&report.points), results(&whole.points));
}

/// A task whose file was edited, or is gone, is still that of the sweep: of the run that was interrupted and of those to
/// come.
#[test]
fn an_interrupted_sweep_keeps_its_task() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("rows")).expect("a folder");
    for (split, rows) in [("train", 24), ("validation", 6)] {
        let row = |k| format!("{{\"film\": \"{split} {k}\", \"good\": {}}}\n", k % 2);
        let rows: String = (0..rows).map(row).collect();
        fs::write(at("rows").join(format!("{split}.jsonl")), rows).expect("written");
    }
    let task = "template = \"{film} was\"\ncandidates = [\" bad\", \" good\"]\nlabel = \"good\"\n";
    let asked = |out: &str| {
        tiny()
            .without("lr")
            .with("model", "embedded")
            .with("task", text(&at("own.toml")))
            .with("data", text(&at("rows")))
            .with("out", text(&at(out)))
    };
    fs::write(at("own.toml"), task).expect("written");
    let runs = Runs::new();
    let new = |out: &str| Sweep::new(lists(&["mezo"], &[1e-5, 1e-4]), asked(out), &runs);
    let whole = new("whole").expect("a sweep");
    let whole = whole.run(&runs, &mut Quiet).expect("a report");
    for edited in [Some(task.replace("good\"]", "fine\"]")), None] {
        fs::write(at("own.toml"), task).expect("written");
        let out = format!("parts-{}", edited.is_some());
        let begun = new(&out).expect("a sweep");
        let mut watch = StopAfter::new(2);
        begun
            .run(&watch.stopping(&runs), &mut watch)
            .expect("a report");
        drop(begun);
        match edited {
            Some(text) => fs::write(at("own.toml"), text).expect("edited"),
            None => fs::remove_file(at("own.toml")).expect("removed"),
        }
        let again = Sweep::reopen(&at(&out), &Given::new(), &runs).expect("a sweep");
        let rest = again.run(&runs, &mut Quiet).expect("a report");
        assert_eq!(results(&rest.points), results(&whole.points));
    }
    // one that is not there leaves nothing behind
    let error = new("none").expect_err("no task").to_string();
    assert!(error.contains("own.toml"), "{error}");
    assert!(!at("none").exists());
}

#[test]
fn a_sweep_is_reopened_with_threads_and_places_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let sweep = folder.path().join("sweep");
    new(&sweep);
    let error = |more: Given| {
        Sweep::reopen(&sweep, &more, &Runs::new())
            .expect_err("refused")
            .to_string()
    };
    let lr = error(Given::new().with("lr", 1e-3));
    assert!(lr.contains("only `threads` goes with it"), "{lr}");
    assert!(lr.ends_with("not `lr`"), "{lr}");
    let threads = error(Given::new().with("threads", 0));
    assert_eq!(threads, "`threads = 0`: use 1 to 1024");
    let none = Sweep::reopen(folder.path(), &Given::new(), &Runs::new()).expect_err("no sweep");
    assert!(
        none.to_string().contains("this folder holds no sweep"),
        "{none}"
    );
    fs::write(sweep.join(SWEEP), "method = 3").expect("written");
    let damaged = error(Given::new());
    assert!(damaged.starts_with("`resume = "), "{damaged}");
}
