//! The step on a module small enough to check by hand: passes, forwards, restores, updates, skips.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_ndarray::NdArray;
use zograd_perturb::{
    AppliedUpdate, Direction, NoiseKind, ParameterSpace, Perturbed, Seed, Selection,
};
use zograd_select::{MethodSpec, Methods, SkipReason, StepContext, Strategy};
use zograd_trainer::{
    Event, Guards, Loss, Policy, Prober, Rule, Ruling, TrainError, Verdict, Walking,
    run_judged_step, run_step,
};

type B = NdArray<f32>;
const N: usize = 300;
pub const EPS: f64 = 1e-3;

#[derive(Module, Debug)]
pub struct Point<B: Backend> {
    x: Param<Tensor<B, 1>>,
}

pub fn point() -> Perturbed<B, Point<B>> {
    let x = Tensor::<B, 1>::from_floats(
        std::array::from_fn::<f32, N, _>(|i| (i as f32 / N as f32) - 0.3),
        &Default::default(),
    );
    let point = Point {
        x: Param::from_tensor(x),
    };
    let space = ParameterSpace::select(&point, &Selection::All).expect("a parameter");
    Perturbed::new(point, space, NoiseKind::Gaussian, EPS).expect("its own space")
}

pub fn values(point: &Point<B>) -> Vec<f64> {
    let data = point.x.val().into_data();
    data.iter::<f32>().map(f64::from).collect()
}

/// Half the squared distance from 1, in f64.
pub fn loss(point: &Point<B>) -> f64 {
    values(point).iter().map(|x| 0.5 * (x - 1.0).powi(2)).sum()
}

pub fn context(step: u64) -> StepContext {
    StepContext::new(step, Seed::new(11).child(step), EPS)
}

pub fn methods() -> Vec<MethodSpec> {
    vec![
        MethodSpec::new("mezo"),
        MethodSpec::new("n-spsa").with("queries", 3),
        MethodSpec::new("gv")
            .with("pool", 4)
            .with("alpha", 0.5)
            .with("faithful-cost", false),
        MethodSpec::new("gv")
            .with("pool", 2)
            .with("alpha", 0.5)
            .with("faithful-cost", false),
        MethodSpec::new("gv-history"),
        MethodSpec::new("greedy").with("pool", 4),
        MethodSpec::new("pool-regression").with("pool", 4),
        MethodSpec::new("fzoo").with("pool", 4),
        // so small that it shows in the bits alone
        MethodSpec::new("hizoo").with("hessian-share", 1e-9),
        // so that history comes in at once, and little of it
        MethodSpec::new("adamu")
            .with("anneal-from", 0)
            .with("anneal-to", 800),
    ]
}

/// One pass for every evaluation and one for restore and update together.
#[test]
fn passes_are_forwards_plus_one() {
    for method in methods() {
        let mut strategy = Methods::built_in().build(&method).expect("valid");
        let mut model = point();
        for step in 0..3 {
            let (before, mut forwards) = (model.passes(), 0);
            let report = run_step(
                strategy.as_mut(),
                &context(step),
                &mut Walking::new(&mut model, |m| {
                    forwards += 1;
                    Ok(loss(m))
                }),
                Rule::new(1e-3, 0.0),
            )
            .expect("a step");
            assert_eq!(forwards, strategy.forwards(), "{method:?}");
            assert_eq!(report.evaluations.len(), forwards);
            // the weights as they are cost no pass
            let probes = report.evaluations.iter();
            let probes = probes.filter(|told| !told.direction.is_zero()).count();
            assert_eq!(model.passes() - before, probes as u64 + 1, "{method:?}");
            assert!(model.at().is_zero());
        }
    }
}

#[test]
fn every_method_descends() {
    for method in methods() {
        let mut strategy = Methods::built_in().build(&method).expect("valid");
        let mut model = point();
        let start = loss(model.module());
        // a step of fzoo is as long as its rate, and not as the slope
        let lr = if method.name() == "fzoo" { 3e-2 } else { 2e-3 };
        // the history method walks along few directions for long, so it takes its time
        for step in 0..300 {
            run_step(
                strategy.as_mut(),
                &context(step),
                &mut Walking::new(&mut model, |m| Ok(loss(m))),
                Rule::new(lr, 0.0),
            )
            .expect("a step");
        }
        let end = loss(model.module());
        assert!(end < 0.7 * start, "{method:?}: {start} -> {end}");
    }
}

/// With learning rate 0 the weights are what they were, to one rounding (2^-24 of values below 1) a pass.
#[test]
fn learning_rate_zero_changes_nothing() {
    for method in methods() {
        let mut strategy = Methods::built_in().build(&method).expect("valid");
        let mut model = point();
        let start = values(model.module());
        for step in 0..20 {
            run_step(
                strategy.as_mut(),
                &context(step),
                &mut Walking::new(&mut model, |m| Ok(loss(m))),
                Rule::new(0.0, 0.0),
            )
            .expect("a step");
        }
        let bound = model.passes() as f64 / f64::from(1 << 24);
        let drift = values(model.module())
            .iter()
            .zip(&start)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(drift <= bound, "{method:?}: {drift} > {bound}");
    }
}

#[test]
fn a_non_finite_loss_never_reaches_the_weights() {
    for method in methods() {
        for bad in [f64::NAN, f64::INFINITY] {
            let forwards = Methods::built_in()
                .build(&method)
                .expect("valid")
                .forwards();
            for at in 0..forwards {
                let mut strategy = Methods::built_in().build(&method).expect("valid");
                let mut model = point();
                let start = values(model.module());
                let mut k = 0;
                let mut prober = Walking::new(&mut model, |m| {
                    k += 1;
                    Ok(if k == at + 1 { bad } else { loss(m) })
                });
                let rule = Rule::new(0.1, 0.1);
                let report = run_step(strategy.as_mut(), &context(0), &mut prober, rule)
                    .expect("a skipped step is no error");
                assert_eq!(
                    report.skipped,
                    Some(SkipReason::NonFiniteLoss),
                    "{method:?} at {at}"
                );
                let drift = values(model.module())
                    .iter()
                    .zip(&start)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f64::max);
                assert!(drift < 1e-6, "{method:?}: {drift}");
            }
        }
    }
}

/// An error in the loss ends the step, and the weights go back to where they were.
#[test]
fn an_error_restores_the_weights() {
    let mut strategy = Methods::built_in()
        .build(
            &MethodSpec::new("gv")
                .with("pool", 4)
                .with("alpha", 0.5)
                .with("faithful-cost", false),
        )
        .expect("valid");
    let mut model = point();
    let start = values(model.module());
    let mut k = 0;
    let mut prober = Walking::new(&mut model, |m| {
        k += 1;
        if k == 3 {
            Err(TrainError::NoExamples("test"))
        } else {
            Ok(loss(m))
        }
    });
    let rule = Rule::new(0.1, 0.0);
    let result = run_step(strategy.as_mut(), &context(0), &mut prober, rule);
    assert!(matches!(result, Err(TrainError::NoExamples("test"))));
    assert!(model.at().is_zero());
    let drift = values(model.module())
        .iter()
        .zip(&start)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(drift < 1e-6, "{drift}");
}

/// The update is `lr (g d + lambda theta)`; this parameter is no bias, so it decays.
#[test]
fn decay_is_part_of_the_update() {
    let (lr, decay) = (0.05, 0.2);
    let step = |decay| {
        let mut mezo = Methods::built_in()
            .build(&MethodSpec::new("mezo"))
            .expect("valid");
        let mut model = point();
        let mut prober = Walking::new(&mut model, |m| Ok(loss(m)));
        run_step(
            mezo.as_mut(),
            &context(0),
            &mut prober,
            Rule::new(lr, decay),
        )
        .expect("a step");
        values(model.module())
    };
    let start = values(point().module());
    for ((with, without), x) in step(decay).iter().zip(step(0.0)).zip(start) {
        assert!((with - (without - lr * decay * x)).abs() < 1e-6);
    }
}

/// A strategy that asks forever is an error, not a hang.
#[test]
fn an_endless_strategy_is_stopped() {
    struct Endless;
    impl Strategy for Endless {
        fn name(&self) -> &str {
            "endless"
        }
        fn forwards(&self) -> usize {
            1
        }
        fn next(
            &mut self,
            _step: &StepContext,
            _told: &[zograd_select::Told],
        ) -> Result<zograd_select::Action, zograd_select::StrategyError> {
            Ok(zograd_select::Action::Evaluate(vec![Direction::zero()]))
        }
    }
    let mut model = point();
    let mut prober = Walking::new(&mut model, |_| Ok(1.0));
    let result = run_step(&mut Endless, &context(0), &mut prober, Rule::new(0.1, 0.0));
    assert!(matches!(result, Err(TrainError::Strategy(_))));
}

/// What follows from an error must not hide it.
#[test]
fn the_first_error_is_the_one_that_is_told() {
    struct Broken;
    impl Prober for Broken {
        fn begin(&mut self, _: u64) -> Result<(), TrainError> {
            Ok(())
        }

        fn losses(&mut self, _: &[Direction]) -> Result<Vec<Loss>, TrainError> {
            Err(TrainError::NoExamples("first"))
        }
        fn update(&mut self, _: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
            Ok(None)
        }
        fn rest(&mut self) -> Result<(), TrainError> {
            Err(TrainError::NoExamples("second"))
        }
    }
    let mut mezo = Methods::built_in()
        .build(&MethodSpec::new("mezo"))
        .expect("valid");
    let rule = Rule::new(0.1, 0.0);
    let result = run_step(mezo.as_mut(), &context(0), &mut Broken, rule);
    assert!(matches!(result, Err(TrainError::NoExamples("first"))));
}

/// A prober that answers with too few losses is an error, and one that refuses the update makes the step a skip.
#[test]
fn probers_are_held_to_their_contract() {
    struct Refusing(usize);
    impl Prober for Refusing {
        fn begin(&mut self, _: u64) -> Result<(), TrainError> {
            Ok(())
        }

        fn losses(&mut self, directions: &[Direction]) -> Result<Vec<Loss>, TrainError> {
            let loss = |i: usize| Loss::new(i as f64).with_tokens(5);
            Ok((0..directions.len() - self.0).map(loss).collect())
        }
        fn update(&mut self, _: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
            Ok(Some(SkipReason::UpdateTooFar))
        }
        fn rest(&mut self) -> Result<(), TrainError> {
            Ok(())
        }
    }
    let step = |missing| {
        let mut mezo = Methods::built_in()
            .build(&MethodSpec::new("mezo"))
            .expect("valid");
        let judge = |_: &[zograd_select::Told], _: &zograd_select::Update| Ruling {
            event: Some(Event::ExplodingGradient),
            ..Verdict::Apply(1.0).into()
        };
        let rule = Rule::new(0.1, 0.0);
        run_judged_step(
            mezo.as_mut(),
            &context(0),
            &mut Refusing(missing),
            rule,
            judge,
        )
    };
    assert!(matches!(step(1), Err(TrainError::Strategy(_))));
    let report = step(0).expect("a step");
    assert_eq!(report.skipped, Some(SkipReason::UpdateTooFar));
    assert!(report.direction.is_zero() && report.projected_gradient != 0.0);
    assert_eq!(report.tokens, 10);

    // two events at once: the guard on the one that skipped the step is heard
    let mut guards = Guards::default();
    assert!(!report.ruling(&guards).stops);
    guards
        .set(Event::UpdateTooFar, Policy::Stop)
        .expect("valid");
    let ruling = report.ruling(&guards);
    assert_eq!(
        (ruling.event, ruling.stops),
        (Some(Event::UpdateTooFar), true)
    );
}
