//! What is made of updates: momentum and a running mean of squares, against both written by hand on a quadratic.

use std::collections::{BTreeSet, VecDeque};
use zograd_select::{
    Action, Direction, MethodSpec, Methods, Outcome, Seed, SkipReason, StepContext, Strategy,
    StrategyError, Told, Update, run_step,
};

const D: usize = 6;
const EPS: f64 = 1e-3;
const LR: f64 = 0.01;

fn build(method: &MethodSpec) -> Box<dyn Strategy> {
    Methods::built_in().build(method).expect("valid")
}

fn mezo() -> MethodSpec {
    MethodSpec::new("mezo")
}

fn context(step: u64) -> StepContext {
    StepContext::new(step, Seed::new(17).child(step), EPS)
}

/// Uniform numbers of variance 1.
fn noise(seed: Seed) -> [f64; D] {
    std::array::from_fn(|i| {
        let uniform = (seed.child(i as u64).value() >> 11) as f64 / (1u64 << 53) as f64;
        (uniform - 0.5) * 12f64.sqrt()
    })
}

fn moved(theta: &[f64; D], direction: &Direction, by: f64) -> [f64; D] {
    let mut moved = *theta;
    for (seed, c) in direction.terms() {
        let z = noise(*seed);
        moved.iter_mut().zip(z).for_each(|(x, z)| *x += by * c * z);
    }
    moved
}

/// A quadratic whose curvatures are 1, 2, ..., lowest at 1.
fn loss(theta: &[f64; D]) -> f64 {
    let terms = theta.iter().enumerate();
    terms
        .map(|(i, x)| 0.5 * (i + 1) as f64 * (x - 1.0).powi(2))
        .sum()
}

/// The weights after so many steps of a method.
fn descended(method: &MethodSpec, steps: u64) -> [f64; D] {
    let (mut strategy, mut theta) = (build(method), [0.0; D]);
    for step in 0..steps {
        let outcome = run_step(strategy.as_mut(), &context(step), |d| {
            loss(&moved(&theta, d, EPS))
        });
        let update = outcome.expect("a step").update.expect("an update");
        theta = moved(&theta, &update.direction, -LR);
    }
    theta
}

/// MeZO by hand, whose updates `rule` makes of slopes and noise.
fn by_hand(steps: u64, mut rule: impl FnMut(f64, [f64; D]) -> [f64; D]) -> [f64; D] {
    let mut theta = [0.0; D];
    for step in 0..steps {
        let z = noise(context(step).seed.child(0));
        let at = |side: f64| loss(&std::array::from_fn(|i| theta[i] + side * EPS * z[i]));
        let slope = (at(1.0) - at(-1.0)) / (2.0 * EPS);
        let update = rule(slope, z);
        theta.iter_mut().zip(update).for_each(|(x, u)| *x -= LR * u);
    }
    theta
}

fn assert_close(found: [f64; D], expected: [f64; D]) {
    let close = found
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 1e-9);
    assert!(close, "{found:?}, not {expected:?}");
    assert!(loss(&found) < 0.9 * loss(&[0.0; D]), "it goes nowhere");
}

/// With more steps than there are, the sum is that of SGD's momentum, which needs a number for each weight.
#[test]
fn momentum_is_that_of_sgd() {
    let found = descended(
        &mezo().with("momentum", 0.8).with("momentum-steps", 100),
        60,
    );
    let mut m = [0.0; D];
    let expected = by_hand(60, |slope, z| {
        m = std::array::from_fn(|i| 0.8 * m[i] + slope * z[i]);
        m
    });
    assert_close(found, expected);
}

#[test]
fn momentum_is_truncated() {
    let found = descended(&mezo().with("momentum", 0.8).with("momentum-steps", 3), 60);
    let mut last = VecDeque::new();
    let expected = by_hand(60, |slope, z| {
        last.push_front(z.map(|z| slope * z));
        last.truncate(3);
        let factors = [1.0, 0.8, 0.64];
        std::array::from_fn(|i| last.iter().zip(factors).map(|(u, f)| f * u[i]).sum())
    });
    assert_close(found, expected);
    let whole = descended(&mezo().with("momentum", 0.8), 60);
    assert!(found.iter().zip(whole).any(|(a, b)| (a - b).abs() > 1e-6));
    // no noise but that of the last three steps
    let mut strategy = build(&mezo().with("momentum", 0.8).with("momentum-steps", 3));
    for step in 0..9u64 {
        let update = step_of(strategy.as_mut(), step).update.expect("an update");
        let seeds: BTreeSet<Seed> = update.direction.terms().iter().map(|t| t.0).collect();
        let last = step.saturating_sub(2)..=step;
        assert_eq!(
            seeds,
            last.map(|step| context(step).seed.child(0)).collect()
        );
    }
}

#[test]
fn a_step_is_scaled_by_the_mean_of_squares() {
    let found = descended(&mezo().with("step-scale", "rms").with("beta2", 0.9), 60);
    let (mut v, mut t) = (0.0, 0);
    let expected = by_hand(60, |slope, z| {
        v = 0.9 * v + 0.1 * slope * slope;
        t += 1;
        let scale = (v / (1.0 - 0.9f64.powi(t))).sqrt() + 1e-8;
        z.map(|z| slope * z / scale)
    });
    assert_close(found, expected);
}

/// Both, as in Adam: the sum is divided by the root as it is now.
#[test]
fn momentum_is_divided_as_in_adam() {
    let both = mezo().with("momentum", 0.5).with("momentum-steps", 100);
    let found = descended(&both.with("step-scale", "rms"), 60);
    let (mut m, mut v, mut t) = ([0.0; D], 0.0, 0);
    let expected = by_hand(60, |slope, z| {
        m = std::array::from_fn(|i| 0.5 * m[i] + slope * z[i]);
        v = 0.99 * v + 0.01 * slope * slope;
        t += 1;
        let scale = (v / (1.0 - 0.99f64.powi(t))).sqrt() + 1e-8;
        m.map(|m| m / scale)
    });
    assert_close(found, expected);
}

/// A step of a loss in which every seed has a slope of its own.
fn step_of(strategy: &mut dyn Strategy, step: u64) -> Outcome {
    let outcome = run_step(strategy, &context(step), |d| {
        loss(&moved(&[0.3; D], d, EPS))
    });
    outcome.expect("a step")
}

/// Each rule and both, the momentum around a method that has a memory of its own.
fn rules() -> [MethodSpec; 3] {
    let momentum = MethodSpec::new("gv-history").with("momentum", 0.9);
    [
        momentum.clone().with("momentum-steps", 3),
        mezo().with("step-scale", "rms"),
        momentum.with("step-scale", "rms"),
    ]
}

/// A step without an update, and one whose update a guard vetoed, leave nothing behind.
#[test]
fn what_was_not_applied_is_forgotten() {
    let momentum = mezo().with("momentum", 0.9).with("momentum-steps", 3);
    let scaled = mezo().with("step-scale", "rms");
    let both = momentum.clone().with("step-scale", "rms");
    for method in [momentum, scaled, both] {
        let (mut strategy, mut spared) = (build(&method), build(&method));
        for step in 0..9 {
            let (found, expected) = (
                step_of(strategy.as_mut(), step),
                step_of(spared.as_mut(), step),
            );
            assert_eq!(found, expected, "{method:?}, step {step}");
            for lost in [100 + step, 200 + step] {
                assert!(step_of(strategy.as_mut(), lost).update.is_some());
                strategy.not_applied();
            }
            let skipped = run_step(strategy.as_mut(), &context(300 + step), |_| f64::NAN);
            assert_eq!(
                skipped.expect("a step").skipped,
                Some(SkipReason::NonFiniteLoss)
            );
        }
    }
}

/// An update that became too large for a number in the sum is not made, and is no part of the sums after it.
#[test]
fn a_sum_that_overflows_is_forgotten() {
    struct Far;
    impl Strategy for Far {
        fn name(&self) -> &str {
            "far"
        }
        fn forwards(&self) -> usize {
            1
        }
        fn next(&mut self, step: &StepContext, _: &[Told]) -> Result<Action, StrategyError> {
            let slope = if step.step == 2 {
                f64::MAX
            } else {
                0.9 * f64::MAX
            };
            Ok(Action::Update(Update::along(
                Direction::unit(Seed::new(1)),
                slope,
            )))
        }
    }
    let mut rules = zograd_select::StepRules::default();
    rules.momentum = Some(0.1);
    let mut far = rules.around(Box::new(Far)).expect("a rule");
    let mut skipped = |step| step_of(far.as_mut(), step).skipped;
    // 0.9 + 0.09, then 1 + 0.09
    assert_eq!([skipped(0), skipped(1)], [None, None]);
    assert_eq!(skipped(2), Some(SkipReason::NonFiniteUpdate));
    assert_eq!(skipped(3), None);
}

/// A new strategy that is told the losses of the steps before goes on as the old one, to the bit.
#[test]
fn rules_resume() {
    for method in rules() {
        let mut strategy = build(&method);
        let mut outcomes: Vec<Outcome> = Vec::new();
        for step in 0..9 {
            outcomes.push(step_of(strategy.as_mut(), step));
            let mut resumed = build(&method);
            for (step, expected) in (0..).zip(&outcomes) {
                let mut losses = expected.evaluations.iter().map(|told| told.loss);
                let told = |_: &Direction| losses.next().expect("as many as before");
                let found = run_step(resumed.as_mut(), &context(step), told);
                assert_eq!(&found.expect("a step"), expected);
            }
        }
    }
}

/// Momentum that sums up one update, or that is 0, changes no bit; and the latter stands nowhere.
#[test]
fn without_momentum_nothing_changes() {
    let methods = Methods::built_in();
    for method in methods.iter() {
        let plain = method.defaults();
        let off = plain.clone().with("momentum", 0.0);
        assert_eq!(methods.complete(&off), Ok(plain.clone()));
        let mut same = vec![off];
        if build(&plain).state_bytes_per_weight() == 0 {
            same.push(
                plain
                    .clone()
                    .with("momentum", 0.9)
                    .with("momentum-steps", 1),
            );
            let rules: MethodSpec = same[1].clone();
            assert_eq!(build(&rules).forwards(), build(&plain).forwards());
            let each = [&rules, &plain].map(|spec| build(spec).is_per_example());
            assert_eq!(each[0], each[1], "{method:?}");
        }
        for method in same {
            let (mut strategy, mut spared) = (build(&method), build(&plain));
            for step in 0..6 {
                let (found, expected) = (
                    step_of(strategy.as_mut(), step),
                    step_of(spared.as_mut(), step),
                );
                assert_eq!(found, expected, "{method:?}");
            }
        }
    }
}

/// The record and the guards have the slope as it was measured.
#[test]
fn the_slope_stays_as_it_was_measured() {
    let (mut ruled, mut plain) = (build(&rules()[2]), build(&MethodSpec::new("gv-history")));
    for step in 0..5 {
        let slope = |strategy: &mut dyn Strategy| {
            let update = step_of(strategy, step).update;
            update.expect("an update").projected_gradient
        };
        assert_eq!(slope(ruled.as_mut()), slope(plain.as_mut()));
    }
}

#[test]
fn rules_are_refused_by_name() {
    let error = |method: MethodSpec| {
        let built = Methods::built_in().build(&method);
        built.err().expect("refused").to_string()
    };
    let with = |name: &str, key: &str, value: f64| MethodSpec::new(name).with(key, value);
    let rms = |name: &str| MethodSpec::new(name).with("step-scale", "rms");
    for (method, said) in [
        (
            with("mezo", "momentum", 1.0),
            "`momentum = 1`: use a number from 0",
        ),
        (
            with("mezo", "momentum", -0.1),
            "`momentum = -0.1`: use a number from 0",
        ),
        (
            with("mezo", "momentum-steps", 5.0),
            "`momentum-steps = 5`: only with `momentum`",
        ),
        (
            with("mezo", "momentum", 0.9).with("momentum-steps", 0),
            "`momentum-steps = 0`: use 1 to 1000",
        ),
        (
            with("mezo", "momentum", 0.9).with("momentum-steps", 1001),
            "`momentum-steps = 1001`: use 1 to 1000",
        ),
        (
            with("greedy", "momentum", 0.9).with("pool", 5000),
            "`momentum-steps = 44`: with 5001 forwards a step",
        ),
        (
            with("hizoo", "momentum", 0.9),
            "`momentum = 0.9`: not with hizoo",
        ),
        (
            with("adamu", "momentum", 0.9),
            "`momentum = 0.9`: not with adamu",
        ),
        (
            with("mezo", "beta2", 0.9),
            "`beta2 = 0.9`: only with `step-scale = rms`",
        ),
        (
            rms("mezo").with("beta2", 1.0),
            "`beta2 = 1`: use a number from 0",
        ),
        (rms("fzoo"), "`step-scale = rms`: fzoo divides"),
        (
            rms("pool-regression").with("shaping", "ranks"),
            "`step-scale = rms`: pool-regression divides",
        ),
        (
            MethodSpec::new("mezo").with("step-scale", "adam"),
            "`step-scale = adam`: the choices are rms",
        ),
    ] {
        let error = error(method);
        assert!(error.starts_with(said), "{error}");
    }
    for fine in [
        rms("hizoo"),
        rms("adamu"),
        rms("n-spsa"),
        with("fzoo", "momentum", 0.9),
    ] {
        build(&fine);
    }
}

/// What a log says of them: all that was left open, and nothing where they are off.
#[test]
fn a_log_has_the_rules_that_are_on() {
    let methods = Methods::built_in();
    let text = |spec: &MethodSpec| {
        let completed = methods.complete(spec).expect("known");
        assert_eq!(methods.complete(&completed), Ok(completed.clone()));
        serde_json::to_string(&completed).expect("JSON")
    };
    for (spec, expected) in [
        (mezo().with("momentum", 0), r#"{"method":"mezo"}"#),
        (
            mezo().with("momentum", 0.5).with("step_scale", "rms"),
            r#"{"method":"mezo","momentum":0.5,"momentum_steps":7,"step_scale":"rms","beta2":0.99}"#,
        ),
    ] {
        assert_eq!(text(&spec), expected);
    }
}
