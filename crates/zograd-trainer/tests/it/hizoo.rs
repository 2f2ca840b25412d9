//! HiZOO on quadratics whose Hessian is known: what it estimates, and that it applies what it has probed.

use crate::pair::{
    B, Pair, context, followed, is_recalled_without_moving_weights, noise_of, perturbed, quadratic,
};
use zograd_perturb::Perturbed;
use zograd_select::Hizoo;

/// `H` of both parameters.
fn hessian(model: &Perturbed<B, Pair<B>>) -> Vec<f64> {
    let of = |name| model.hessian(name).expect("learnt");
    [of("a"), of("b")]
        .concat()
        .into_iter()
        .map(f64::from)
        .collect()
}

/// With the same noise in its square and in its curvature, `E[c H_i z_i^2] = A_i + H_i tr(A / H) / 2`, which is `H_i` where
/// `H = A (d + 2) / 2`. So far the estimate comes from 1, whatever the curvatures; the released code leaves it at 1 with its
/// default, and never reaches it where it lets the noise of the update be another than that of the probes.
///
/// The logarithm of a ratio to that, averaged over 25,000 steps, is -0.03 with a share of 0.002 and has a standard deviation of
/// 0.025, by a simulation with other noise: the threshold is five of these further.
#[test]
fn the_estimate_tends_to_a_multiple_of_the_hessian() {
    let (eps, curvature) = (1e-2, [0.25, 1.0, 4.0]);
    let mut model = perturbed(Pair::of(&[0.0, 0.0], &[0.0]), eps, false);
    let mut strategy = Hizoo::new(0.002).expect("a share");
    let (steps, from) = (30_000, 5_000);
    let mut sums = [0.0; 3];
    for step in 0..steps {
        followed(&mut model, &mut strategy, step, 0.0, &curvature);
        if step >= from {
            let found = hessian(&model);
            for ((sum, h), a) in sums.iter_mut().zip(found).zip(curvature) {
                *sum += (h / (2.5 * a)).ln();
            }
        }
    }
    let means = sums.map(|sum| sum / (steps - from) as f64);
    assert!(means.iter().all(|mean| mean.abs() < 0.16), "{means:?}");
}

/// Three steps by hand. The second one's noise is divided by the root of what the first one has learnt, in its probes and in
/// its update alike, though by then more is known: what is applied is what was probed. The released code divides by the root
/// of the new `H` in the update.
#[test]
fn the_update_has_the_noise_of_the_probes() {
    let (eps, lr, share) = (0.5, 0.01, 0.5);
    let curvature = [0.5, 3.0, 1.0, 2.0, 0.25];
    for exact in [false, true] {
        let start = Pair::of(&[1.0, -0.5, 0.25], &[0.75, -1.5]);
        let mut model = perturbed(start, eps, exact);
        let mut strategy = Hizoo::new(share).expect("a share");
        let mut by_hand = vec![1.0; 5];
        for step in 0..3 {
            let context = context(step, eps);
            let before = model.module().values();
            let (report, seen) = followed(&mut model, &mut strategy, step, lr, &curvature);
            let [here, plus, minus] = &seen[..] else {
                panic!("three forwards, not {}", seen.len());
            };
            assert_eq!(*here, before);
            let z = noise_of(context.seed.child(0));
            let close = |a: f64, b: f64| (a - b).abs() < 1e-5 * (1.0 + b.abs());
            let after = model.module().values();
            for i in 0..5 {
                let along = z[i] / f64::sqrt(by_hand[i]);
                assert!(close(plus[i], before[i] + eps * along), "{step} {i}");
                assert!(close(minus[i], before[i] - eps * along), "{step} {i}");
                let moved = lr * report.projected_gradient * along;
                assert!(close(after[i], before[i] - moved), "{step} {i}");
            }
            let [l0, l1, l2] = [here, plus, minus].map(|x| quadratic(&curvature, x));
            let c = (l1 + l2 - 2.0 * l0).abs() / (2.0 * eps * eps);
            for (h, z) in by_hand.iter_mut().zip(&z) {
                *h = (1.0 - share) * *h + share * c * *h * z * z;
            }
            // within the bounds of the estimate
            assert!(
                by_hand.iter().all(|h| (1.0 / 64.0..1e6).contains(h)),
                "{by_hand:?}"
            );
            // it is taken up when the next step begins
            model.begin(step + 1).expect("at rest");
            for (found, expected) in hessian(&model).into_iter().zip(&by_hand) {
                assert!(close(found, *expected), "{found} for {expected}");
            }
        }
    }
}

#[test]
fn what_was_learnt_is_recalled() {
    let strategy = || Box::new(Hizoo::new(0.3).expect("a share")) as _;
    is_recalled_without_moving_weights(strategy, hessian);
}
