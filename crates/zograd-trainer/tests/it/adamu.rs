//! ZO-AdaMU on quadratics: that it applies what it has probed, what it keeps, and where it ends.

use crate::pair::{
    B, Pair, context, followed, is_recalled_without_moving_weights, noise_of, perturbed, quadratic,
};
use zograd_perturb::{AppliedUpdate, Direction, Momentum, PerturbError, Perturbed};
use zograd_select::{Adamu, Anneal};

fn strategy(from: u64, to: u64) -> Adamu {
    Adamu::new(Anneal { from, to }).expect("one after the other")
}

/// What is kept for both parameters.
fn history(model: &Perturbed<B, Pair<B>>) -> Vec<f64> {
    let of = |name| model.history(name).expect("learnt");
    let both = [of("a"), of("b")].concat();
    both.into_iter().map(f64::from).collect()
}

/// Eight steps by hand, through all phases. Both probes are at the same `m'`, on either side, and it is this `m'` that
/// is divided, applied and kept. The released code mixes other shares into its probes than into its updates, and its
/// schedule moves with every call, so that the two probes differ.
#[test]
fn the_update_is_the_quotient_of_the_probes() {
    let (eps, lr, anneal) = (0.5, 0.01, Anneal { from: 1, to: 6 });
    let curvature = [0.5, 3.0, 1.0, 2.0, 0.25];
    let mut fell = 0;
    for exact in [false, true] {
        let start = Pair::of(&[1.0, -0.5, 0.25], &[0.75, -1.5]);
        let mut model = perturbed(start, eps, exact);
        let mut strategy = Adamu::new(anneal).expect("one after the other");
        let mut m = vec![0.0; 5];
        for step in 0..8 {
            let context = context(step, eps);
            let before = model.module().values();
            let (report, seen) = followed(&mut model, &mut strategy, step, lr, &curvature);
            let [plus, minus] = &seen[..] else {
                panic!("two forwards, not {}", seen.len());
            };
            let now = anneal.at(step);
            let [z1, z2] = [0, 1].map(|index| noise_of(context.seed.child(index)));
            let close = |a: f64, b: f64| (a - b).abs() < 2e-5 * (1.0 + b.abs());
            let slope = report.projected_gradient;
            let losses = [plus, minus].map(|x| quadratic(&curvature, x));
            assert!(close(slope, (losses[0] - losses[1]) / (2.0 * eps)));
            fell += usize::from(slope < 0.0);
            let after = model.module().values();
            for i in 0..5 {
                let p = now.alpha.sqrt() * z1[i];
                let q = m[i] + (1.0 - now.alpha).sqrt() * z2[i];
                let along = now.first * p + (1.0 - now.first) * q;
                let v = now.second * p * p + (1.0 - now.second) * q * q;
                assert!(close(plus[i], before[i] + eps * along), "{step} {i}");
                assert!(close(minus[i], before[i] - eps * along), "{step} {i}");
                let quotient = along / (v + 1e-8).sqrt();
                let moved = lr * slope * quotient.clamp(-3.03125, 3.03125);
                assert!(close(after[i], before[i] - moved), "{step} {i}");
                m[i] = slope.signum() * along;
            }
            // it is taken up when the next step begins
            model.begin(step + 1).expect("at rest");
            for (found, expected) in history(&model).into_iter().zip(&m) {
                assert!(close(found, *expected), "{found} for {expected}");
            }
        }
    }
    assert!(fell > 0 && fell < 16, "slopes of both signs, not {fell}");
}

/// The minimum is 0, and steps shrink with the slope on the way there.
#[test]
fn the_minimum_of_a_quadratic_is_found() {
    let (eps, curvature) = (1e-3, [0.25, 1.0, 4.0, 2.0, 0.5]);
    let mut model = perturbed(Pair::of(&[1.0, -0.5, 0.25], &[0.75, -1.5]), eps, false);
    let mut strategy = strategy(500, 2_000);
    for step in 0..6_000 {
        followed(&mut model, &mut strategy, step, 1e-2, &curvature);
    }
    let end = model.module().values();
    assert!(end.iter().all(|x| x.abs() < 1e-2), "{end:?}");
}

#[test]
fn what_was_learnt_is_recalled() {
    let strategy = || Box::new(strategy(0, 4)) as _;
    is_recalled_without_moving_weights(strategy, history);
}

/// The seeds of history and quotient mean nothing by themselves: a direction that is not known must not be taken for
/// none.
#[test]
fn a_quotient_of_nothing_is_refused() {
    for exact in [false, true] {
        let mut model = perturbed(Pair::of(&[1.0], &[2.0]), 1e-2, exact);
        let quotient = Direction::unit(Momentum::QUOTIENT);
        let update = AppliedUpdate::new(quotient, 1e-2).with_decay(0.0, 3);
        let refused = PerturbError::Quotient { step: 3 };
        assert_eq!(model.update(&update), Err(refused.clone()));
        assert_eq!(model.update_all(&[update]), Err(refused));
        assert_eq!(model.module().values(), [1.0, 2.0]);
    }
}
