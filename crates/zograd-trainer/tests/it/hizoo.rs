//! HiZOO on quadratics whose Hessian is known: what it estimates, and that it applies what it has probed.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_ndarray::NdArray;
use zograd_perturb::{
    AppliedUpdate, Grids, NoiseKind, ParameterSpace, Perturbed, Seed, Selection, TensorId, noise,
};
use zograd_select::{Hizoo, StepContext};
use zograd_trainer::{Rule, Walking, run_step};

type B = NdArray<f32>;

#[derive(Module, Debug)]
struct Pair<B: Backend> {
    a: Param<Tensor<B, 1>>,
    b: Param<Tensor<B, 1>>,
}

impl Pair<B> {
    fn of(a: &[f32], b: &[f32]) -> Self {
        let tensor = |x: &[f32]| Param::from_tensor(Tensor::from_floats(x, &Default::default()));
        Self {
            a: tensor(a),
            b: tensor(b),
        }
    }

    fn values(&self) -> Vec<f64> {
        let numbers = |x: &Param<Tensor<B, 1>>| {
            let data = x.val().into_data();
            data.iter::<f32>().map(f64::from).collect::<Vec<_>>()
        };
        [numbers(&self.a), numbers(&self.b)].concat()
    }
}

fn perturbed(pair: Pair<B>, eps: f64, exact: bool) -> Perturbed<B, Pair<B>> {
    let space = ParameterSpace::select(&pair, &Selection::All).expect("parameters");
    match exact {
        false => Perturbed::new(pair, space, NoiseKind::Gaussian, eps),
        true => {
            let grids = Grids::of(&pair, &space, eps, 0.1).expect("finite");
            Perturbed::on_grids(pair, space, NoiseKind::Gaussian, eps, grids)
        }
    }
    .expect("its own space")
}

fn context(step: u64, eps: f64) -> StepContext {
    StepContext::new(step, Seed::new(7).child(step), eps)
}

/// `H` of both parameters.
fn hessian(model: &Perturbed<B, Pair<B>>) -> Vec<f64> {
    let of = |name| model.hessian(name).expect("learnt");
    [of("a"), of("b")]
        .concat()
        .into_iter()
        .map(f64::from)
        .collect()
}

/// `sum_i c_i x_i^2 / 2`
fn quadratic(curvature: &[f64], x: &[f64]) -> f64 {
    let terms = curvature.iter().zip(x);
    terms.map(|(c, x)| 0.5 * c * x * x).sum()
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
        let mut prober = Walking::new(&mut model, |pair: &Pair<B>| {
            Ok(quadratic(&curvature, &pair.values()))
        });
        let rule = Rule::new(0.0, 0.0);
        let report = run_step(&mut strategy, &context(step, eps), &mut prober, rule);
        assert_eq!(report.expect("a step").skipped, None);
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
            let mut seen = Vec::new();
            let mut prober = Walking::new(&mut model, |pair: &Pair<B>| {
                seen.push(pair.values());
                Ok(quadratic(&curvature, &pair.values()))
            });
            let rule = Rule::new(lr, 0.0);
            let report = run_step(&mut strategy, &context, &mut prober, rule).expect("a step");
            assert_eq!(report.skipped, None);
            let [here, plus, minus] = &seen[..] else {
                panic!("three forwards, not {}", seen.len());
            };
            assert_eq!(*here, before);
            let mut z = [[0f32; 3]; 2];
            for (z, name) in z.iter_mut().zip(["a", "b"]) {
                let (seed, tensor) = (context.seed.child(0), TensorId::of(name));
                noise::fill(seed, tensor, NoiseKind::Gaussian, 0, z);
            }
            let z: Vec<f64> = z[0]
                .iter()
                .chain(&z[1][..2])
                .map(|z| f64::from(*z))
                .collect();
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

/// A resumed run has weights from a checkpoint, and takes up what was learnt before from the updates alone.
#[test]
fn what_was_learnt_is_recalled_without_moving_weights() {
    let (eps, curvature) = (1e-2, [0.25, 1.0, 4.0]);
    for exact in [false, true] {
        let start = || Pair::of(&[0.5, -0.25], &[1.0]);
        let step = |model: &mut Perturbed<B, Pair<B>>, step: u64| -> AppliedUpdate {
            let mut strategy = Hizoo::new(0.3).expect("a share");
            let context = context(step, eps);
            let mut prober = Walking::new(model, |pair: &Pair<B>| {
                Ok(quadratic(&curvature, &pair.values()))
            });
            let rule = Rule::new(1e-2, 0.0);
            let report = run_step(&mut strategy, &context, &mut prober, rule).expect("a step");
            AppliedUpdate::new(report.direction, report.lr)
                .with_decay(0.0, step)
                .with_learnt(report.learnt)
        };
        let mut whole = perturbed(start(), eps, exact);
        let updates: Vec<AppliedUpdate> = (0..6).map(|at| step(&mut whole, at)).collect();
        // all of it by the updates, as a replay makes them
        let mut replayed = perturbed(start(), eps, exact);
        replayed.update_all(&updates).expect("passes");
        // or from the weights after four steps
        let mut first = perturbed(start(), eps, exact);
        first.update_all(&updates[..4]).expect("passes");
        let kept = first.into_module().expect("at rest");
        let mut resumed = perturbed(kept, eps, exact);
        for update in &updates[..4] {
            resumed.recall(update).expect("at rest");
        }
        for update in &updates[4..] {
            resumed.begin(update.step).expect("at rest");
            resumed.update(update).expect("a pass");
        }
        assert_eq!(resumed.module().values(), replayed.module().values());
        if exact {
            // probes leave nothing behind
            assert_eq!(whole.module().values(), replayed.module().values());
        }
        for model in [&mut whole, &mut replayed, &mut resumed] {
            model.begin(6).expect("at rest");
        }
        assert_eq!(hessian(&whole), hessian(&replayed));
        assert_eq!(hessian(&whole), hessian(&resumed));
    }
}
