//! What probes of low rank add to matrices, by factors: what they make of the matrices otherwise.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use burn_ndarray::NdArray;
use zograd_perturb::family::{Factors, FamilySpec, MaskRule, PerturbationSpec, Scales};
use zograd_perturb::{
    AppliedUpdate, Curvature, Direction, NoiseKind, ParameterSpace, Perturbed, Probe, Seed,
    Selection,
};

type B = NdArray<f32>;

#[derive(Module, Debug)]
struct Net<B: Backend> {
    table: Param<Tensor<B, 2>>,
    embed_positions: Param<Tensor<B, 2>>,
    weight: Param<Tensor<B, 2>>,
    bias: Param<Tensor<B, 1>>,
}

const EPS: f64 = 1e-2;

impl Net<B> {
    fn new() -> Self {
        let device = Default::default();
        let values = |n: usize, salt: usize| -> Vec<f32> {
            let value = |i: usize| ((i * 31 + salt * 17) % 1013) as f32 / 4096.0 - 0.1;
            (0..n).map(value).collect()
        };
        let matrix = |rows: usize, columns: usize, salt| {
            let data = TensorData::new(values(rows * columns, salt), [rows, columns]);
            Param::from_tensor(Tensor::from_data(data, &device))
        };
        let bias = TensorData::new(values(37, 4), [37]);
        Self {
            table: matrix(50, 37, 1),
            embed_positions: matrix(20, 37, 2),
            weight: matrix(37, 70, 3),
            bias: Param::from_tensor(Tensor::from_data(bias, &device)),
        }
    }

    fn matrices(&self) -> [&Param<Tensor<B, 2>>; 3] {
        [&self.table, &self.embed_positions, &self.weight]
    }
}

fn numbers(matrix: &Param<Tensor<B, 2>>) -> Vec<f32> {
    matrix.val().into_data().iter().collect()
}

fn model(spec: &PerturbationSpec) -> Perturbed<B, Net<B>> {
    let net = Net::new();
    let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
    let noise = spec
        .clone()
        .perturbation(NoiseKind::Gaussian, &net, &space, Seed::new(7))
        .expect("in their range");
    Perturbed::new(net, space, noise, EPS).expect("its own space")
}

/// One alone, one with its opposite, none, and a sum alone: five points.
fn directions() -> Vec<Direction> {
    let z = |k| Direction::unit(Seed::new(k));
    let v = z(2) * 0.5 - z(3) * 1.5 + z(4);
    vec![z(1), v.clone(), -v, Direction::zero(), z(5) - z(6) * 0.5]
}

fn subzero(rank: u64) -> PerturbationSpec {
    PerturbationSpec::new(FamilySpec::Subzero { rank, refresh: 3 })
}

fn lozo(rank: u64) -> PerturbationSpec {
    PerturbationSpec::new(FamilySpec::Lozo { rank, refresh: 2 })
}

/// The matrices that factors stand for, in f64.
fn products(factors: &Factors, columns: usize) -> Vec<Vec<f64>> {
    let rank = factors.rank;
    let times = |left: &[f64], right: &[f64], columns: usize| -> Vec<f64> {
        let rows = left.chunks(rank);
        let row = |row: &[f64]| -> Vec<f64> {
            let sum = |j: usize| (0..rank).map(|k| row[k] * right[k * columns + j]).sum();
            (0..columns).map(sum).collect()
        };
        rows.flat_map(row).collect()
    };
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|x| f64::from(*x)).collect() };
    let right = wide(&factors.right);
    let left = factors.left.as_deref().map(wide);
    let each = factors.each.iter().map(|own| match &left {
        Some(left) => times(&times(left, &wide(own), rank), &right, columns),
        None => times(&wide(own), &right, columns),
    });
    each.collect()
}

/// At every point, in every step, and for rows alone.
#[test]
fn factors_stand_for_what_is_made() {
    let mut scaled = lozo(1);
    scaled.scales = Scales {
        vectors: 5.0,
        positions: 2.0,
    };
    for spec in [subzero(6), lozo(2), scaled] {
        let mut model = model(&spec);
        for step in [0, 1, 2, 3] {
            model.begin(step).expect("at rest");
            let passes = model.passes();
            let looked = model.at_probes(&directions(), |net, probes| {
                let all: Vec<&Probe<'_>> = probes.iter().collect();
                let moved: Vec<Net<B>> = probes.iter().flat_map(|probe| probe.moved(net)).collect();
                assert_eq!(moved.len(), 5);
                for (index, matrix) in net.matrices().into_iter().enumerate() {
                    let [_, columns] = matrix.dims();
                    let factors = Probe::factors(&all, matrix, None).expect("of low rank");
                    let added = products(&factors, columns);
                    let start = numbers(matrix);
                    for (moved, added) in moved.iter().zip(&added) {
                        let moved = numbers(moved.matrices()[index]);
                        assert_eq!(added.len(), moved.len());
                        for ((start, moved), added) in start.iter().zip(&moved).zip(added) {
                            // numbers below 1, whose sums of up to six products and three terms are rounded in f32
                            let error = f64::from(*start) + added - f64::from(*moved);
                            assert!(error.abs() < 2f64.powi(-21), "{spec:?} {step}: {error}");
                        }
                    }
                    assert!(added[0].iter().any(|x| x.abs() > EPS), "it moves");
                    assert!(
                        added[3].iter().all(|x| *x == 0.0),
                        "the weights as they are"
                    );

                    let rows = [3u32, 0, 3, 19];
                    let some = Probe::factors(&all, matrix, Some(&rows)).expect("of low rank");
                    for (some, all) in products(&some, columns).iter().zip(&added) {
                        let picked = rows.iter().map(|row| *row as usize * columns);
                        let expected: Vec<f64> = picked
                            .flat_map(|at| &all[at..at + columns])
                            .copied()
                            .collect();
                        assert_eq!(some, &expected);
                    }
                }
            });
            looked.expect("finite");
            assert_eq!(model.passes(), passes, "{spec:?}");
        }
    }
}

/// Dense noise has no factors; nor have matrices that are too small for the rank, or what curvature has shaped. Then a
/// probe is a pass.
#[test]
fn what_has_no_factors_is_made() {
    let sparse = FamilySpec::Sparse {
        mask: MaskRule::Random,
        density: 0.5,
        hash: None,
    };
    let found = |model: &mut Perturbed<B, Net<B>>| {
        let before = model.passes();
        let found = model.at_probes(&directions(), |net, probes| {
            let all: Vec<&Probe<'_>> = probes.iter().collect();
            let matrices = net.matrices().into_iter();
            let found = matrices.map(|matrix| Probe::factors(&all, matrix, None).is_some());
            found.collect::<Vec<bool>>()
        });
        (found.expect("finite"), model.passes() - before)
    };
    for spec in [PerturbationSpec::default(), PerturbationSpec::new(sparse)] {
        assert_eq!(found(&mut model(&spec)), (vec![false; 3], 3), "{spec:?}");
    }
    // twice the rank is more than the 20 rows of the positions
    let found_of_large = found(&mut model(&subzero(11)));
    assert_eq!(found_of_large, (vec![true, false, true], 3));

    let mut learning = model(&subzero(6));
    assert_eq!(found(&mut learning), (vec![true; 3], 0));
    let curvature = Curvature::new(Seed::new(1), 0.5, 1e-3);
    let update = AppliedUpdate::new(Direction::unit(Seed::new(1)), 1e-3);
    let update = update.with_learnt(Some(curvature.into()));
    learning.update(&update).expect("a pass");
    learning.begin(1).expect("at rest");
    assert_eq!(found(&mut learning), (vec![false; 3], 3));
}
