//! Momentum and the scale of steps: nothing of them is saved, and a log leads to them again.

use crate::steps::{context, loss, point};
use crate::tiny::model;
use crate::trajectory::{KILLED_AFTER, STEPS, header, run, walk};
use zograd_models::content_hash;
use zograd_perturb::{Arithmetic, Direction};
use zograd_select::{MethodSpec, Methods, SkipReason, Strategy};
use zograd_trainer::trajectory::{Header, Record, Trajectory, TrajectoryWriter, replay, retell};
use zograd_trainer::{
    Logged, NoWeights, Rule, Ruling, TrainState, Verdict, Walking, run_judged_step, run_step,
};

fn build(method: &MethodSpec) -> Box<dyn Strategy> {
    Methods::built_in().build(method).expect("valid")
}

/// So short that within a run updates fall out of the sum.
fn momentum(name: &str) -> MethodSpec {
    MethodSpec::new(name)
        .with("momentum", 0.5)
        .with("momentum-steps", 4)
}

fn rules() -> [MethodSpec; 4] {
    [
        momentum("mezo"),
        momentum("gv"),
        momentum("gv-history").with("step-scale", "rms"),
        MethodSpec::new("mezo").with("step-scale", "rms"),
    ]
}

/// A header of a run by this method, at a rate for its steps.
fn header_of(method: &MethodSpec, arithmetic: Arithmetic) -> Header {
    let mut header = header(arithmetic);
    header.method = Methods::built_in().complete(method).expect("known");
    header.config.lr = 1e-3;
    header
}

#[test]
fn rules_are_replayed_and_resumed_to_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, method) in rules().iter().enumerate() {
        for arithmetic in [Arithmetic::Plain, Arithmetic::Exact] {
            let header = header_of(method, arithmetic);
            let name = |part: &str| {
                folder
                    .path()
                    .join(format!("{number} {arithmetic:?} {part}"))
            };
            let begin = || walk(&header).begin(model()).expect("the start");
            let first = || (&header, TrainState::beginning());
            let mut log = TrajectoryWriter::create(&name("whole"), header.clone()).expect("new");
            let mut strategy = build(&header.method);
            let whole = run(
                &mut begin(),
                strategy.as_mut(),
                first(),
                &mut log,
                STEPS + 1,
            );
            let all = Trajectory::read(&name("whole")).expect("a log").records;
            let (mut again, mut strategy) = (begin(), build(&header.method));
            replay(&mut again, strategy.as_mut(), &header, &all, |_| ()).expect("this run's");
            assert_eq!(
                content_hash(again.module()),
                whole.weights,
                "{method:?} {arithmetic:?}"
            );

            for from_checkpoint in [false, true] {
                let path = name(&from_checkpoint.to_string());
                let mut log = TrajectoryWriter::create(&path, header.clone()).expect("new");
                let mut strategy = build(&header.method);
                let cut = run(
                    &mut begin(),
                    strategy.as_mut(),
                    first(),
                    &mut log,
                    KILLED_AFTER,
                );
                drop(log);
                let read = Trajectory::read(&path).expect("a log");
                let (mut walked, mut strategy) = (begin(), build(&header.method));
                if from_checkpoint {
                    retell(strategy.as_mut(), &header, &read.records).expect("this run's");
                    walked = walk(&header).resume(cut.end).expect("its own");
                } else {
                    replay(
                        &mut walked,
                        strategy.as_mut(),
                        &header,
                        &read.records,
                        |_| (),
                    )
                    .expect("this run's");
                }
                let end = read.ends[read.records.len()];
                let mut log = TrajectoryWriter::resume(&path, header.clone(), end).expect("cut");
                let rest = (&header, cut.state);
                let resumed = run(&mut walked, strategy.as_mut(), rest, &mut log, STEPS + 1);
                assert_eq!(resumed.weights, whole.weights, "{method:?} {arithmetic:?}");
                let found = Trajectory::read(&path).expect("a log").records;
                assert_eq!(found, all, "{method:?} {arithmetic:?}");
            }
        }
    }
}

/// The noise of as many steps as are summed up, not more.
#[test]
fn an_update_of_momentum_has_the_noise_of_its_steps() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    let header = header_of(&momentum("mezo"), Arithmetic::Exact);
    let mut log = TrajectoryWriter::create(&path, header.clone()).expect("new");
    let mut walked = walk(&header).begin(model()).expect("the start");
    let start = (&header, TrainState::beginning());
    let mut strategy = build(&header.method);
    run(&mut walked, strategy.as_mut(), start, &mut log, STEPS + 1);
    for record in Trajectory::read(&path).expect("a log").records {
        assert_eq!(record.update.len() as u64, record.step.min(4));
    }
}

/// What a guard vetoed is in no later update, neither in the run nor when its log is told again.
#[test]
fn a_vetoed_update_is_no_part_of_momentum() {
    let vetoed = [2, 5];
    for method in rules() {
        let (mut strategy, mut model) = (build(&method), point());
        let mut records: Vec<Record> = Vec::new();
        let rule = Rule::new(1e-4, 0.0);
        for step in 0..9 {
            let mut prober = Walking::new(&mut model, |point| Ok(loss(point)));
            let report = run_judged_step(
                strategy.as_mut(),
                &context(step),
                &mut prober,
                rule,
                |_, _| match vetoed.contains(&step) {
                    true => Ruling {
                        verdict: Verdict::Skip(SkipReason::ExplodingGradient),
                        ..Ruling::default()
                    },
                    false => Ruling::default(),
                },
            );
            let report = report.expect("a step");
            assert_eq!(report.skipped.is_some(), vetoed.contains(&step));
            if method.name() != "gv-history" {
                // its record is a candidate's, whose update may have been vetoed
                let lost = |seed| {
                    vetoed
                        .iter()
                        .any(|v| (0..8).any(|i| context(*v).seed.child(i) == seed))
                };
                let mut seeds = report.direction.terms().iter().map(|term| term.0);
                assert!(!seeds.any(lost), "{method:?}, step {step}");
            }
            records.push(Record {
                step: step + 1,
                lr: report.lr,
                weight_decay: 0.0,
                update: report.direction,
                losses: report.evaluations.iter().map(|told| told.loss).collect(),
                skipped: report.skipped,
            });
        }
        let mut strategy = build(&method);
        for (step, record) in (0..).zip(&records) {
            let mut weights = NoWeights;
            let mut prober = Logged::new(record, &mut weights);
            let told = run_step(strategy.as_mut(), &context(step), &mut prober, rule);
            let found: Direction = told.expect("a step").direction;
            assert_eq!(found, record.update, "{method:?}, step {step}");
        }
    }
}
