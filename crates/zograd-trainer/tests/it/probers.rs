//! Ways of having the losses that lead to the same weights.

use crate::steps::{EPS, Point, context, loss, methods, point, values};
use burn_ndarray::NdArray;
use proptest::prelude::*;
use zograd_perturb::{Grids, NoiseKind, Perturbed};
use zograd_select::Methods;
use zograd_trainer::trajectory::Record;
use zograd_trainer::{
    Logged, Loss, Prober, Rule, Stacked, StepReport, TrainError, Walking, run_step,
};

type Model = Perturbed<NdArray<f32>, Point<NdArray<f32>>>;

/// The start, on grids or not.
fn start(exact: bool) -> Model {
    let plain = point();
    if !exact {
        return plain;
    }
    let space = plain.space().clone();
    let module = plain.into_module().expect("at rest");
    let grids = Grids::of(&module, &space, EPS, 0.1).expect("finite");
    Perturbed::on_grids(module, space, NoiseKind::Gaussian, EPS, grids).expect("f32")
}

/// A loss that is not finite the `bad`th time.
fn failing(bad: usize) -> impl FnMut(&Point<NdArray<f32>>) -> Result<Loss, TrainError> {
    let mut asked = 0;
    move |point| {
        asked += 1;
        Ok(match asked == bad {
            true => f64::NAN.into(),
            false => loss(point).into(),
        })
    }
}

fn record(step: u64, rule: Rule, report: &StepReport) -> Record {
    Record {
        step: step + 1,
        lr: rule.lr,
        weight_decay: rule.decay,
        update: report.direction.clone(),
        losses: report.evaluations.iter().map(|e| e.loss).collect(),
        skipped: report.skipped,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// A step with losses that are known makes the same hops, so that every weight has the same bits, for every
    /// built-in strategy, and whether steps are exact or not.
    #[test]
    fn walking_and_logged_end_in_the_same_bits(
        first in 0u64..1000,
        lr in 1e-4f64..5e-2,
        decay in prop_oneof![Just(0.0), 0.01f64..0.5],
        bad in 0usize..40,
        exact: bool,
    ) {
        let rule = Rule::new(lr, decay);
        for method in methods() {
            let mut walked = start(exact);
            let mut logged = start(exact);
            let mut strategy = Methods::built_in().build(&method).expect("valid");
            let mut again = Methods::built_in().build(&method).expect("valid");
            let mut loss = failing(bad);
            for step in first..first + 4 {
                let context = context(step);
                let mut prober = Walking::new(&mut walked, &mut loss);
                let report = run_step(strategy.as_mut(), &context, &mut prober, rule);
                let report = report.expect("a step");
                let record = record(step, rule, &report);
                let mut prober = Logged::new(&record, &mut logged);
                let found = run_step(again.as_mut(), &context, &mut prober, rule).expect("a step");
                prop_assert_eq!(prober.left(), 0);
                prop_assert_eq!(&found.direction, &report.direction);
                prop_assert_eq!(found.skipped, report.skipped);
                prop_assert_eq!(values(walked.module()), values(logged.module()), "{:?}", method);
            }
            prop_assert_eq!(walked.passes(), logged.passes());
            // both have the same memory: they ask for the same next
            let next = context(first + 4);
            prop_assert_eq!(strategy.next(&next, &[]), again.next(&next, &[]));
        }
    }

    /// Copies that are looked at together are the weights that are walked to.
    #[test]
    fn walking_and_stacked_end_in_the_same_bits(
        first in 0u64..1000,
        at_once in 1usize..6,
        exact: bool,
    ) {
        let rule = Rule::new(1e-2, 0.1);
        for method in methods() {
            let (mut walked, mut stacked) = (start(exact), start(exact));
            let mut strategy = Methods::built_in().build(&method).expect("valid");
            let mut again = Methods::built_in().build(&method).expect("valid");
            for step in first..first + 3 {
                let context = context(step);
                let mut prober = Walking::new(&mut walked, |p: &Point<NdArray<f32>>| Ok(loss(p)));
                let one = run_step(strategy.as_mut(), &context, &mut prober, rule);
                let mut most = 0;
                let mut prober = Stacked::new(&mut stacked, at_once, |points: &[Point<_>], _| {
                    most = most.max(points.len());
                    Ok(points.iter().map(|point| loss(point).into()).collect())
                });
                let many = run_step(again.as_mut(), &context, &mut prober, rule);
                let (one, many) = (one.expect("a step"), many.expect("a step"));
                prop_assert!(most <= at_once && most >= at_once.min(2));
                prop_assert_eq!(one.evaluations, many.evaluations);
                prop_assert_eq!(values(walked.module()), values(stacked.module()), "{:?}", method);
            }
            prop_assert_eq!(walked.passes(), stacked.passes());
        }
    }
}

/// A log with fewer losses than the strategy asks for is an error before anything moves.
#[test]
fn a_log_that_ends_is_an_error() {
    let record = Record {
        step: 1,
        lr: 0.1,
        weight_decay: 0.0,
        update: Default::default(),
        losses: vec![0.5],
        skipped: None,
    };
    let mut model = point();
    let mut prober = Logged::new(&record, &mut model);
    let directions = [
        zograd_perturb::Direction::unit(1.into()),
        Default::default(),
    ];
    let refused = prober.losses(&directions);
    assert!(matches!(
        refused,
        Err(TrainError::LogEnds { asked: 2, left: 1 })
    ));
    assert_eq!(model.passes(), 0);
}
