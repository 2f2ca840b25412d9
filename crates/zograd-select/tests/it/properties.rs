//! What must be true of every strategy.

use proptest::prelude::*;
use zograd_direction::{Learnt, Momentum};
use zograd_select::{
    Action, Direction, MAX_EVALUATIONS, MethodSpec, Methods, Outcome, Seed, SkipReason,
    StepContext, Strategy as ZoStrategy, StrategyError, Told, Update, run_step,
};

/// Methods that keep a candidate from step to step.
const REMEMBER: [&str; 1] = ["gv-history"];
/// Methods whose update is along several directions, each with its own slope.
const AVERAGE: [&str; 4] = ["n-spsa", "pool-regression", "fzoo", "per-example"];

fn build(method: &MethodSpec) -> Box<dyn ZoStrategy> {
    Methods::built_in().build(method).expect("valid")
}

fn spec(name: &str) -> MethodSpec {
    MethodSpec::new(name)
}

fn with_pool(name: &str, pool: usize) -> MethodSpec {
    spec(name).with("pool", pool)
}

fn gv(pool: usize, alpha: f64, faithful_cost: bool) -> MethodSpec {
    let gv = with_pool("gv", pool).with("alpha", alpha);
    gv.with("faithful-cost", faithful_cost)
}

fn adamu(from: u64, to: u64) -> MethodSpec {
    spec("adamu")
        .with("anneal-from", from)
        .with("anneal-to", to)
}

/// Every built-in method with its defaults, and those with settings with others.
fn any_method() -> impl Strategy<Value = MethodSpec> {
    let built_in = Methods::built_in();
    let defaults: Vec<_> = built_in.iter().map(|method| method.defaults()).collect();
    prop_oneof![
        prop::sample::select(defaults),
        (1usize..5).prop_map(|queries| spec("n-spsa").with("queries", queries)),
        (2usize..9, 0.0f64..1.0, any::<bool>())
            .prop_map(|(pool, alpha, faithful_cost)| gv(pool, alpha, faithful_cost))
            .prop_filter("both groups have members", |m| Methods::built_in()
                .build(m)
                .is_ok()),
        (1usize..9).prop_map(|pool| with_pool("greedy", pool)),
        (2usize..9).prop_map(|pool| with_pool("pool-regression", pool)),
        (2usize..9).prop_map(|pool| with_pool("fzoo", pool)),
        (2usize..9).prop_map(|pool| with_pool("per-example", pool)),
        (1e-9f64..0.9).prop_map(|share| spec("hizoo").with("hessian-share", share)),
        (0u64..5, 1u64..9).prop_map(|(from, steps)| adamu(from, from + steps)),
    ]
}

fn context(step: u64, seed: u64) -> StepContext {
    StepContext::new(step, Seed::new(seed).child(step), 1e-3)
}

fn run(strategy: &mut dyn ZoStrategy, step: &StepContext) -> Outcome {
    run_step(strategy, step, loss).expect("a step")
}

/// Where a step begins: the directions that are asked for first.
fn asked(strategy: &mut dyn ZoStrategy, step: &StepContext) -> Vec<Direction> {
    match strategy.next(step, &[]) {
        Ok(Action::Evaluate(directions)) => directions,
        other => panic!("a step begins with a question, not {other:?}"),
    }
}

/// A smooth loss in which every seed has its own slope and curvature.
fn loss(direction: &Direction) -> f64 {
    let terms = direction.terms().iter().map(|(seed, c)| {
        let unit = (seed.value() >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
        let x = 1e-3 * c;
        unit * x + 0.5 * (1.0 + unit) * x * x
    });
    3.0 + terms.sum::<f64>()
}

/// Whether `target` is a linear combination of `basis` (all over the same seeds), by elimination.
fn is_spanned(target: &Direction, basis: &[Direction]) -> bool {
    let mut rest = target.clone();
    let mut rows: Vec<Direction> = Vec::new();
    let reduce = |d: &mut Direction, rows: &[Direction]| {
        for row in rows {
            let (seed, pivot) = row.terms()[0];
            let c = d.coefficient(seed);
            d.add_scaled(row, -c / pivot);
        }
        let cleaned = d.terms().iter().filter(|(_, c)| c.abs() > 1e-9);
        *d = cleaned.copied().collect();
    };
    for direction in basis {
        let mut d = direction.clone();
        reduce(&mut d, &rows);
        if !d.is_zero() {
            rows.push(d);
        }
    }
    let scale = rest.norm_squared().sqrt().max(1e-300);
    rest = rest * (1.0 / scale);
    reduce(&mut rest, &rows);
    rest.is_zero()
}

proptest! {
    #[test]
    fn a_step_costs_what_it_claims(method in any_method(), seed: u64) {
        let mut strategy = build(&method);
        for step in 0..4 {
            let outcome = run(strategy.as_mut(), &context(step, seed));
            prop_assert_eq!(outcome.evaluations.len(), strategy.forwards());
            prop_assert!(outcome.update.is_some());
        }
    }

    /// What is applied is a combination of what was probed in the same step.
    #[test]
    fn the_applied_direction_was_probed(method in any_method(), seed: u64) {
        let mut strategy = build(&method);
        for step in 0..4 {
            let outcome = run(strategy.as_mut(), &context(step, seed));
            let probed: Vec<_> = outcome.evaluations.into_iter().map(|e| e.direction).collect();
            let update = outcome.update.expect("an update");
            // a quotient is that of the very direction
            if let Some(Learnt::Momentum(momentum)) = &update.learnt {
                let quotient = Direction::unit(Momentum::QUOTIENT) * update.projected_gradient;
                prop_assert_eq!(&probed[0], &momentum.along());
                prop_assert_eq!(&probed[1], &-momentum.along());
                prop_assert_eq!(&update.direction, &quotient);
                prop_assert_eq!(momentum.falls, update.projected_gradient < 0.0);
                continue;
            }
            prop_assert!(is_spanned(&update.direction, &probed));
            // where the estimate has one direction, it is the slope times that very direction
            if !AVERAGE.contains(&method.name()) {
                let scaled = |v: &Direction| v * update.projected_gradient;
                prop_assert!(probed.iter().any(|v| scaled(v) == update.direction));
            }
        }
    }

    /// A new strategy that is told the losses of the steps before goes on as the old one: so a run resumes.
    #[test]
    fn a_strategy_is_deterministic_and_resumes(method in any_method(), seed: u64) {
        let mut strategy = build(&method);
        let mut outcomes: Vec<Outcome> = Vec::new();
        for step in 0..6 {
            outcomes.push(run(strategy.as_mut(), &context(step, seed)));
            let mut resumed = build(&method);
            for (told, expected) in (0..).zip(&outcomes) {
                let mut losses = expected.evaluations.iter().map(|e| e.loss);
                let outcome = run_step(resumed.as_mut(), &context(told, seed), |_| {
                    losses.next().expect("as many as before")
                });
                prop_assert_eq!(&outcome.expect("a step"), expected);
            }
        }
    }

    #[test]
    fn no_two_steps_share_a_new_candidate(method in any_method(), seed: u64) {
        if !REMEMBER.contains(&method.name()) {
            let mut strategy = build(&method);
            let mut seen = std::collections::HashSet::new();
            for step in 0..20 {
                let outcome = run(strategy.as_mut(), &context(step, seed));
                let seeds: std::collections::HashSet<_> = outcome.evaluations.iter()
                    .flat_map(|e| e.direction.terms()).map(|t| t.0)
                    .filter(|seed| *seed != Momentum::HISTORY).collect();
                prop_assert!(seeds.into_iter().all(|s| seen.insert(s)));
            }
        }
    }

    /// Whichever loss is not finite, the step is skipped and the memory stays what it was.
    #[test]
    fn a_non_finite_loss_skips_the_step(method in any_method(), seed: u64, which in 0usize..12, bad in prop_oneof![
        Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)
    ]) {
        let (mut strategy, mut spared) = (build(&method), build(&method));
        prop_assert_eq!(run(strategy.as_mut(), &context(0, seed)), run(spared.as_mut(), &context(0, seed)));
        let (which, mut k) = (which % strategy.forwards(), 0);
        let outcome = run_step(strategy.as_mut(), &context(1, seed), |d| {
            k += 1;
            if k == which + 1 { bad } else { loss(d) }
        }).expect("a step");
        prop_assert_eq!(outcome.update, None);
        prop_assert_eq!(outcome.skipped, Some(SkipReason::NonFiniteLoss));
        prop_assert_eq!(run(strategy.as_mut(), &context(2, seed)), run(spared.as_mut(), &context(2, seed)));
    }

    /// Losses that are finite but too far apart for a slope lead to no update, and to no memory of the step.
    #[test]
    fn an_update_is_finite_or_none(method in any_method(), seed: u64, signs in prop::collection::vec(any::<bool>(), 12)) {
        let mut strategy = build(&method);
        let mut sign = signs.iter().cycle();
        let outcome = run_step(strategy.as_mut(), &context(0, seed), |_| {
            if sign.next() == Some(&true) { f64::MAX } else { f64::MIN }
        }).expect("a step");
        match outcome.update {
            Some(update) => prop_assert!(update.is_finite()),
            None => {
                prop_assert_eq!(outcome.skipped, Some(SkipReason::NonFiniteUpdate));
                let mut fresh = build(&method);
                prop_assert_eq!(run(strategy.as_mut(), &context(1, seed)), run(fresh.as_mut(), &context(1, seed)));
            }
        }
    }

    #[test]
    fn an_eps_that_cannot_be_is_refused(method in any_method(), eps in prop_oneof![
        Just(0.0), Just(-1e-3), Just(f64::NAN), Just(f64::INFINITY)
    ]) {
        let context = StepContext::new(0, Seed::new(1), eps);
        let error = run_step(build(&method).as_mut(), &context, loss).expect_err("refused");
        prop_assert!(error.to_string().starts_with("`eps = "), "{}", error);
    }

    /// With M = 2 it does not matter which candidate won: v and -v give the same update, which is MeZO's
    /// along z_0 - z_1, and the pool's losses can be left out.
    #[test]
    fn a_guiding_vector_of_two_is_mezo_along_the_difference(seed: u64, first in -1.0f64..1.0, second in -1.0f64..1.0) {
        let context = context(0, seed);
        let gv = |faithful_cost| build(&gv(2, 0.5, faithful_cost));
        let step = |strategy: &mut dyn ZoStrategy, pool: [f64; 2]| {
            let mut asked = 0;
            let faithful = strategy.forwards() == 4;
            let outcome = run_step(strategy, &context, |d| {
                asked += 1;
                if faithful && asked <= 2 { pool[asked - 1] } else { loss(d) }
            }).expect("a step");
            outcome.update.expect("an update").direction
        };
        let cheap = step(gv(false).as_mut(), [0.0; 2]);
        prop_assert_eq!(&step(gv(true).as_mut(), [first, second]), &cheap);
        prop_assert_eq!(&step(gv(true).as_mut(), [second, first]), &cheap);
        let v = Direction::unit(context.seed.child(0)) - Direction::unit(context.seed.child(1));
        let slope = (loss(&v) - loss(&-&v)) / (2.0 * context.eps);
        prop_assert_eq!(cheap, Update::along(v, slope).direction);
    }

    /// A pool of one is MeZO.
    #[test]
    fn greedy_of_one_is_mezo(seed: u64) {
        let context = context(0, seed);
        let run = |method: MethodSpec| run(build(&method).as_mut(), &context);
        prop_assert_eq!(run(with_pool("greedy", 1)), run(spec("mezo")));
    }
}

/// FZOO on a quadratic: the losses of the pool less that of the weights as they are, over their spread with `N - 1`. The
/// released code takes the spread with `N`, and says that it reuses half of its losses, which it never does: what a step
/// costs is what it claims here, as for all methods.
#[test]
fn fzoo_is_its_formula() {
    let mut strategy = build(&with_pool("fzoo", 3));
    let context = context(0, 1);
    let losses = [2.0, 2.5, 1.0, 3.0];
    let mut left = losses.iter();
    let outcome = run_step(strategy.as_mut(), &context, |_| {
        *left.next().expect("four losses")
    });
    let outcome = outcome.expect("a step");
    assert_eq!((strategy.forwards(), outcome.evaluations.len()), (4, 4));
    assert!(outcome.evaluations[0].direction.is_zero());
    let update = outcome.update.expect("an update").direction;
    // mean 13/6, squares 1/9 + 49/36 + 25/36, over 2
    let sigma = (13.0f64 / 12.0).sqrt();
    for (k, rise) in [0.5, -1.0, 1.0].into_iter().enumerate() {
        let found = update.coefficient(context.seed.child(k as u64));
        assert!((found - rise / (3.0 * sigma)).abs() < 1e-12, "{k}: {found}");
    }
}

/// Neither the scale of the loss nor eps changes its step, and where all losses are equal there is none.
#[test]
fn fzoo_has_no_scale() {
    let step = |scale: f64, eps: f64| {
        let context = StepContext::new(0, Seed::new(4), eps);
        let linear = |d: &Direction| {
            let slopes = d
                .terms()
                .iter()
                .map(|(seed, c)| c * (seed.value() % 97) as f64);
            scale * (1.0 + eps * slopes.sum::<f64>())
        };
        let outcome = run_step(build(&with_pool("fzoo", 5)).as_mut(), &context, linear);
        outcome
            .expect("a step")
            .update
            .expect("an update")
            .direction
    };
    let one = step(1.0, 1e-3);
    for other in [step(1000.0, 1e-3), step(1.0, 1e-2)] {
        for (seed, c) in one.terms() {
            assert!((other.coefficient(*seed) - c).abs() < 1e-9);
        }
    }
    let context = context(0, 1);
    let flat = run_step(build(&with_pool("fzoo", 4)).as_mut(), &context, |_| 0.7);
    let flat = flat.expect("a step");
    assert_eq!(
        (flat.update, flat.skipped),
        (None, Some(SkipReason::VanishingGradient))
    );
}

/// Of candidates with equal losses, the first wins.
#[test]
fn a_tie_in_greedy_goes_to_the_first() {
    let mut strategy = build(&with_pool("greedy", 4));
    let context = context(0, 1);
    let outcome = run_step(strategy.as_mut(), &context, |_| 1.0).expect("a step");
    let first = Direction::unit(context.seed.child(0));
    assert_eq!(outcome.evaluations[4].direction, -first);
}

/// Losses whose difference is no number give no update, whichever estimator they go into.
#[test]
fn a_slope_that_overflows_skips_the_step() {
    for method in [
        spec("mezo"),
        spec("n-spsa").with("queries", 3),
        with_pool("pool-regression", 4),
    ] {
        let mut k = 0;
        let outcome = run_step(build(&method).as_mut(), &context(0, 1), |_| {
            k += 1;
            if k % 2 == 0 { f64::MAX } else { f64::MIN }
        })
        .expect("a step");
        assert_eq!(outcome.skipped, Some(SkipReason::NonFiniteUpdate));
        assert_eq!(outcome.update, None, "{method}");
    }
}

/// A strategy of somebody's that takes no care is no danger to the weights either.
#[test]
fn a_careless_strategy_cannot_update_with_nan() {
    struct Careless;
    impl ZoStrategy for Careless {
        fn name(&self) -> &str {
            "careless"
        }
        fn forwards(&self) -> usize {
            0
        }
        fn next(&mut self, step: &StepContext, _: &[Told]) -> Result<Action, StrategyError> {
            let z = Direction::unit(step.seed.child(0));
            Ok(Action::Update(Update::along(z, f64::NAN)))
        }
    }
    let outcome = run_step(&mut Careless, &context(0, 1), loss).expect("a step");
    assert_eq!(outcome.update, None);
    assert_eq!(outcome.skipped, Some(SkipReason::NonFiniteUpdate));
}

/// When both candidates of the history variant tie, the step is not lost.
#[test]
fn a_tie_in_the_history_still_moves() {
    let mut strategy = build(&spec("gv-history"));
    let context = context(0, 1);
    let mut k = 0;
    let outcome = run_step(strategy.as_mut(), &context, |d| {
        k += 1;
        if k <= 2 { 1.0 } else { loss(d) }
    })
    .expect("a step");
    let update = outcome.update.expect("an update");
    assert!(update.direction.norm_squared() > 0.0);
    // and the new candidate is the record, which the next step evaluates again
    let next = asked(strategy.as_mut(), &self::context(1, 1));
    assert_eq!(next[1], Direction::unit(context.seed.child(0)));
}

#[test]
fn settings_out_of_range_are_named() {
    let error = |method: &MethodSpec| {
        let built = Methods::built_in().build(method);
        built.err().expect("refused").to_string()
    };
    for (method, setting) in [
        (gv(0, 0.5, false), "pool"),
        (gv(1, 0.5, false), "pool"),
        (gv(4, 0.2, false), "alpha"),
        (gv(4, 1.0, false), "alpha"),
        (gv(4, -1.0, false), "alpha"),
        // `null` in JSON
        (gv(4, f64::NAN, false), "alpha"),
        (with_pool("greedy", 0), "pool"),
        (with_pool("pool-regression", 1), "pool"),
        (with_pool("fzoo", 1), "pool"),
        (with_pool("fzoo", MAX_EVALUATIONS), "pool"),
        (with_pool("fzoo", usize::MAX), "pool"),
        (spec("hizoo").with("hessian-share", 0.0), "hessian-share"),
        (spec("hizoo").with("hessian-share", 1.0), "hessian-share"),
        (adamu(0, 0), "anneal-to"),
        (adamu(20_000, 16_000), "anneal-to"),
        (spec("n-spsa").with("queries", 0), "queries"),
        // more than any machine evaluates, and more than adds up
        (gv(MAX_EVALUATIONS, 0.5, false), "pool"),
        (gv(usize::MAX, 0.5, false), "pool"),
        (with_pool("greedy", usize::MAX), "pool"),
        (with_pool("pool-regression", usize::MAX), "pool"),
        (spec("n-spsa").with("queries", usize::MAX), "queries"),
    ] {
        let error = error(&method);
        assert!(
            error.starts_with(&format!("`{setting} = ")),
            "{method:?}: {error}"
        );
    }
    assert_eq!(
        error(&gv(4, 0.2, false)),
        "`alpha = 0.2`: floor(alpha * pool) is 0 of a pool of 4, and must be at least 1 and less than the pool; try 0.5"
    );
    assert_eq!(
        error(&gv(1, 0.5, false)),
        "`pool = 1`: a guiding vector compares at least 2 candidates; use 2 or more, or `method = mezo`"
    );
}

#[test]
fn a_strategy_that_never_answers_is_stopped() {
    struct Endless(Vec<Direction>);
    impl ZoStrategy for Endless {
        fn name(&self) -> &str {
            "endless"
        }
        fn forwards(&self) -> usize {
            1
        }
        fn next(&mut self, _: &StepContext, _: &[Told]) -> Result<Action, StrategyError> {
            Ok(Action::Evaluate(self.0.clone()))
        }
    }
    for asks in [vec![], vec![Direction::zero(); 1000]] {
        let error = run_step(&mut Endless(asks), &context(0, 0), |_| 1.0).expect_err("stopped");
        assert!(matches!(error, StrategyError::Unfinished { .. }));
    }
}
