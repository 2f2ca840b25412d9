//! A seed that stands for a direction that somebody knows.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_ndarray::NdArray;
use zograd_perturb::{
    AppliedUpdate, Direction, Grids, NoiseKind, ParameterSpace, PerturbError, Perturbed, Seed,
    Selection,
};

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

    fn values(&self) -> Vec<f32> {
        let numbers = |x: &Param<Tensor<B, 1>>| x.val().into_data().iter().collect::<Vec<f32>>();
        [numbers(&self.a), numbers(&self.b)].concat()
    }
}

const EPS: f64 = 0.25;

fn start() -> Pair<B> {
    Pair::of(&[1.0, -2.0, 0.5], &[4.0, 0.0])
}

fn known() -> Pair<B> {
    Pair::of(&[0.5, 1.0, -1.0], &[2.0, -4.0])
}

fn perturbed(selection: &Selection) -> Perturbed<B, Pair<B>> {
    let space = ParameterSpace::select(&start(), selection).expect("parameters");
    Perturbed::new(start(), space, NoiseKind::Gaussian, EPS).expect("its own space")
}

/// All numbers are powers of two and small sums of them, so that nothing rounds.
#[test]
fn probes_and_updates_go_along_it() {
    let mut model = perturbed(&Selection::All);
    let seed = Seed::new(9);
    model.inform(3, seed, known()).expect("its own shape");
    let d = Direction::unit(seed);
    let expected = [1.125, -1.75, 0.25, 4.5, -1.0];
    model.move_to(&d).expect("a pass");
    assert_eq!(model.module().values(), expected);
    let standing = model.at_probes(&[d.clone(), -&d], |pair, probes| {
        let points = probes.iter().flat_map(|probe| probe.moved(pair));
        points.map(|pair| pair.values()).collect::<Vec<_>>()
    });
    let opposite = [0.875, -2.25, 0.75, 3.5, 1.0];
    assert_eq!(standing.expect("finite"), [expected, opposite]);
    // its own length, not that of noise: 0.25 + 1 + 1 + 4 + 16
    assert!((model.length(&(&d * 2.0)).powi(2) - 4.0 * 22.25).abs() < 1e-9);
    let update = AppliedUpdate::new(&d * 2.0, 0.25).with_decay(0.0, 3);
    model.update(&update).expect("a pass");
    assert_eq!(model.module().values(), [0.75, -2.5, 1.0, 3.0, 2.0]);
}

/// Another seed is noise in that step, and so is this one in every other step.
#[test]
fn it_is_for_one_seed_and_one_step() {
    let (mut model, mut plain) = (perturbed(&Selection::All), perturbed(&Selection::All));
    let [seed, other] = [Seed::new(9), Seed::new(10)].map(Direction::unit);
    model.inform(0, Seed::new(9), known()).expect("its shape");
    for direction in [&other, &Direction::zero()] {
        model.move_to(direction).expect("a pass");
        plain.move_to(direction).expect("a pass");
        assert_eq!(model.module().values(), plain.module().values());
    }
    // from weights that no hop has rounded
    let (mut model, mut plain) = (perturbed(&Selection::All), perturbed(&Selection::All));
    model.inform(0, Seed::new(9), known()).expect("its shape");
    model.begin(0).expect("the same step");
    model.move_to(&seed).expect("a pass");
    plain.move_to(&seed).expect("a pass");
    assert_ne!(model.module().values(), plain.module().values());
    // it goes back along what it stood for
    model.begin(1).expect("a pass");
    assert_eq!(model.module().values(), start().values());
    model.move_to(&seed).expect("a pass");
    assert_eq!(model.module().values(), plain.module().values());
}

#[test]
fn only_what_moves_moves_along_it() {
    let mut model = perturbed(&Selection::matching(["b"]));
    model.inform(0, Seed::new(9), known()).expect("its shape");
    model
        .move_to(&Direction::unit(Seed::new(9)))
        .expect("a pass");
    assert_eq!(model.module().values(), [1.0, -2.0, 0.5, 4.5, -1.0]);
}

#[test]
fn what_is_no_direction_is_refused() {
    let seed = Seed::new(9);
    let mut model = perturbed(&Selection::All);
    let other_shape = model.inform(0, seed, Pair::of(&[1.0, 2.0], &[3.0, 4.0]));
    assert_eq!(other_shape, Err(PerturbError::ForeignSpace("a".into())));
    let infinite = model.inform(0, seed, Pair::of(&[f32::INFINITY, 0.0, 0.0], &[0.0, 0.0]));
    assert!(
        matches!(infinite, Err(PerturbError::NonFinite(_))),
        "{infinite:?}"
    );
    let space = ParameterSpace::select(&start(), &Selection::All).expect("parameters");
    let grids = Grids::of(&start(), &space, EPS, 0.1).expect("finite");
    let exact = Perturbed::on_grids(start(), space, NoiseKind::Gaussian, EPS, grids);
    let refused = exact.expect("f32").inform(0, seed, known());
    assert!(
        matches!(refused, Err(PerturbError::NotOnGrids(_))),
        "{refused:?}"
    );
}
