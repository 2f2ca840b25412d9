//! Five weights in two tensors, for steps that are followed by hand, with methods that keep a number for each weight.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_ndarray::NdArray;
use zograd_perturb::{
    AppliedUpdate, Grids, NoiseKind, ParameterSpace, Perturbed, Seed, Selection, TensorId, noise,
};
use zograd_select::{StepContext, Strategy};
use zograd_trainer::{Rule, StepReport, Walking, run_step};

pub type B = NdArray<f32>;

#[derive(Module, Debug)]
pub struct Pair<B: Backend> {
    pub a: Param<Tensor<B, 1>>,
    pub b: Param<Tensor<B, 1>>,
}

impl Pair<B> {
    pub fn of(a: &[f32], b: &[f32]) -> Self {
        let tensor = |x: &[f32]| Param::from_tensor(Tensor::from_floats(x, &Default::default()));
        Self {
            a: tensor(a),
            b: tensor(b),
        }
    }

    pub fn values(&self) -> Vec<f64> {
        let numbers = |x: &Param<Tensor<B, 1>>| {
            let data = x.val().into_data();
            data.iter::<f32>().map(f64::from).collect::<Vec<_>>()
        };
        [numbers(&self.a), numbers(&self.b)].concat()
    }
}

pub fn perturbed(pair: Pair<B>, eps: f64, exact: bool) -> Perturbed<B, Pair<B>> {
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

pub fn context(step: u64, eps: f64) -> StepContext {
    StepContext::new(step, Seed::new(7).child(step), eps)
}

/// `sum_i c_i x_i^2 / 2`
pub fn quadratic(curvature: &[f64], x: &[f64]) -> f64 {
    let terms = curvature.iter().zip(x);
    terms.map(|(c, x)| 0.5 * c * x * x).sum()
}

/// A step on this quadratic that is not skipped: what it reports, and the weights at which it looked.
pub fn followed(
    model: &mut Perturbed<B, Pair<B>>,
    strategy: &mut dyn Strategy,
    step: u64,
    lr: f64,
    curvature: &[f64],
) -> (StepReport, Vec<Vec<f64>>) {
    let context = context(step, model.eps());
    let mut seen = Vec::new();
    let mut prober = Walking::new(model, |pair: &Pair<B>| {
        seen.push(pair.values());
        Ok(quadratic(curvature, &pair.values()))
    });
    let report = run_step(strategy, &context, &mut prober, Rule::new(lr, 0.0));
    let report = report.expect("a step");
    assert_eq!(report.skipped, None);
    (report, seen)
}

/// The noise of a seed on both tensors, three weights and two.
pub fn noise_of(seed: Seed) -> Vec<f64> {
    let mut z = [[0f32; 3]; 2];
    for (z, name) in z.iter_mut().zip(["a", "b"]) {
        noise::fill(seed, TensorId::of(name), NoiseKind::Gaussian, 0, z);
    }
    let all = z[0].iter().chain(&z[1][..2]);
    all.map(|z| f64::from(*z)).collect()
}

/// A resumed run has weights from a checkpoint, and takes up what was learnt before from the updates alone: `kept` is
/// what it is to have then.
pub fn is_recalled_without_moving_weights(
    strategy: impl Fn() -> Box<dyn Strategy>,
    kept: impl Fn(&Perturbed<B, Pair<B>>) -> Vec<f64>,
) {
    let (eps, curvature) = (1e-2, [0.25, 1.0, 4.0]);
    for exact in [false, true] {
        let start = || Pair::of(&[0.5, -0.25], &[1.0]);
        let step = |model: &mut Perturbed<B, Pair<B>>, step: u64| -> AppliedUpdate {
            let (report, _) = followed(model, strategy().as_mut(), step, 1e-2, &curvature);
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
        let at_rest = first.into_module().expect("at rest");
        let mut resumed = perturbed(at_rest, eps, exact);
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
        assert_eq!(kept(&whole), kept(&replayed));
        assert_eq!(kept(&whole), kept(&resumed));
    }
}
