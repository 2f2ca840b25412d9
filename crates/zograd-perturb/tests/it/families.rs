//! Families of perturbations: what a seed means, in probes and in updates, in place and out of place.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use zograd_perturb::family::{
    BlockOrder, Blocks, FamilySpec, LowRank, Mask, MaskRule, Part, PerturbationSpec, Scales,
};
use zograd_perturb::{
    AppliedUpdate, Arithmetic, Direction, Family, Grids, Learnt, Momentum, NoiseBackend, NoiseKind,
    Originals, ParameterSpace, ParameterSpec, PerturbError, Perturbation, Perturbed, Seed,
    Selection, TensorId, noise,
};

type B = NdArray<f32>;

#[derive(Module, Debug)]
struct Layer<B: Backend> {
    weight: Param<Tensor<B, 2>>,
    bias: Param<Tensor<B, 1>>,
}

/// A table, a table of positions, three layers and a norm: rows end anywhere in a block of noise.
#[derive(Module, Debug)]
struct Net<B: Backend> {
    table: Param<Tensor<B, 2>>,
    embed_positions: Param<Tensor<B, 2>>,
    layers: Vec<Layer<B>>,
    norm: Param<Tensor<B, 1>>,
}

const EPS: f64 = 1e-2;
const SHAPES: [[usize; 2]; 5] = [[150, 37], [20, 37], [37, 90], [37, 90], [37, 90]];

impl<B: Backend> Net<B> {
    fn new(dtype: DType) -> Self {
        let device = B::Device::default();
        let values = |n: usize, salt: usize| {
            let value = |i: usize| ((i * 31 + salt * 17) % 1013) as f32 / 2048.0 - 0.2;
            (0..n).map(value).collect::<Vec<f32>>()
        };
        let matrix = |[rows, columns]: [usize; 2], salt| {
            let data = TensorData::new(values(rows * columns, salt), [rows, columns]);
            Param::from_tensor(Tensor::from_data(
                data.convert_dtype(dtype),
                (&device, dtype),
            ))
        };
        let vector = |n, salt| {
            let data = TensorData::new(values(n, salt), [n]).convert_dtype(dtype);
            Param::from_tensor(Tensor::from_data(data, (&device, dtype)))
        };
        let layer = |k: usize| Layer {
            weight: matrix(SHAPES[2 + k], 3 + k),
            bias: vector(90, 8 + k),
        };
        Self {
            table: matrix(SHAPES[0], 1),
            embed_positions: matrix(SHAPES[1], 2),
            layers: (0..3).map(layer).collect(),
            norm: vector(37, 12),
        }
    }

    /// The values of the parameters, in the order of the space.
    fn weights(&self) -> Vec<Vec<f32>> {
        let values = |data: TensorData| -> Vec<f32> { data.iter::<f32>().collect() };
        let mut all = vec![
            values(self.table.val().into_data()),
            values(self.embed_positions.val().into_data()),
        ];
        for layer in &self.layers {
            all.push(values(layer.weight.val().into_data()));
            all.push(values(layer.bias.val().into_data()));
        }
        all.push(values(self.norm.val().into_data()));
        all
    }
}

fn space() -> ParameterSpace {
    ParameterSpace::select(&Net::<B>::new(DType::F32), &Selection::All).expect("parameters")
}

/// Every family there is, with settings that change within a few steps.
fn specs() -> Vec<PerturbationSpec> {
    let sparse = |mask| FamilySpec::Sparse {
        mask,
        density: 0.25,
        hash: None,
    };
    let mut scaled = PerturbationSpec::new(FamilySpec::Lozo {
        rank: 1,
        refresh: 2,
    });
    scaled.scales = Scales {
        vectors: 5.0,
        positions: 0.0,
    };
    let plain = [
        FamilySpec::Dense,
        FamilySpec::Subzero {
            rank: 6,
            refresh: 3,
        },
        FamilySpec::Lozo {
            rank: 2,
            refresh: 4,
        },
        FamilySpec::Blocks {
            order: BlockOrder::InTurn,
        },
        FamilySpec::Blocks {
            order: BlockOrder::Random,
        },
        sparse(MaskRule::Random),
        sparse(MaskRule::Small),
        sparse(MaskRule::Large),
    ];
    let mut all: Vec<_> = plain.into_iter().map(PerturbationSpec::new).collect();
    all.push(scaled);
    all
}

fn perturbation<B: Backend>(
    spec: &PerturbationSpec,
    kind: NoiseKind,
    net: &Net<B>,
) -> Perturbation {
    let mut spec = spec.clone();
    spec.perturbation(kind, net, &space(), Seed::new(77))
        .expect("settings in their range")
}

fn model<B: NoiseBackend>(
    spec: &PerturbationSpec,
    (kind, dtype, exact): (NoiseKind, DType, bool),
) -> Perturbed<B, Net<B>> {
    let net = Net::<B>::new(dtype);
    let noise = perturbation(spec, kind, &net);
    let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
    if !exact {
        return Perturbed::new(net, space, noise, EPS).expect("its own space");
    }
    let grids = Grids::of_noise(&net, &space, &noise, EPS, 1e-2).expect("f32");
    Perturbed::on_grids(net, space, noise, EPS, grids).expect("its own space")
}

fn exact(spec: &PerturbationSpec) -> Perturbed<B, Net<B>> {
    model(spec, (NoiseKind::Gaussian, DType::F32, true))
}

fn z(k: u64) -> Direction {
    Direction::unit(Seed::new(k))
}

/// An update in the step after `step` others.
fn at(step: u64, direction: Direction, lr: f64) -> AppliedUpdate {
    AppliedUpdate::new(direction, lr).with_decay(0.0, step)
}

/// `z(seed)` of every parameter in a step.
fn noise_of(spec: &PerturbationSpec, step: u64, seed: u64) -> Vec<Vec<f32>> {
    // of weights that are 0 the probe is the noise
    let mut net = Net::<B>::new(DType::F32);
    let noise = perturbation(spec, NoiseKind::Gaussian, &net);
    net.table = net.table.map(|w| w.zeros_like());
    net.embed_positions = net.embed_positions.map(|w| w.zeros_like());
    for layer in &mut net.layers {
        layer.weight = layer.weight.clone().map(|w| w.zeros_like());
        layer.bias = layer.bias.clone().map(|w| w.zeros_like());
    }
    net.norm = net.norm.map(|w| w.zeros_like());
    let mut model = Perturbed::new(net, space(), noise, 1.0).expect("its own space");
    model.begin(step).expect("at rest");
    model.move_to(&z(seed)).expect("a pass");
    model.module().weights()
}

fn on_backend<B: NoiseBackend>(dtypes: &[(DType, bool)]) {
    for spec in specs() {
        for (kind, (dtype, exact)) in NoiseKind::ALL
            .iter()
            .zip(dtypes.iter().cycle())
            .chain(NoiseKind::ALL.iter().rev().zip(dtypes.iter()))
        {
            let with = (*kind, *dtype, *exact);
            for step in 0..9 {
                let mut probed = model::<B>(&spec, with);
                probed.begin(step).expect("at rest");
                probed.move_to(&z(1)).expect("a pass");
                let mut applied = model::<B>(&spec, with);
                applied.begin(step).expect("at rest");
                let update = at(step, -z(1), EPS);
                applied.update(&update).expect("a pass");
                let label = format!("{spec:?} {kind} {dtype:?} exact: {exact}, step {step}");
                assert_eq!(
                    probed.module().weights(),
                    applied.module().weights(),
                    "{label}"
                );
                assert_eq!((probed.passes(), applied.passes()), (1, 1), "{label}");
                assert_eq!((probed.streams(), applied.streams()), (1, 1), "{label}");
            }
        }
    }
}

/// What is probed is what is applied, at every step, those included in which a subspace is drawn anew. The released code
/// of LOZO draws its factors in one order for a probe and in another for the update, at just these steps; that of MeZO-GV
/// begins its noise anew for every tensor in the update, but not in the probe.
#[test]
fn the_applied_direction_is_the_probed_one() {
    on_backend::<B>(&[(DType::F32, false), (DType::F32, true)]);
    on_backend::<Flex>(&[
        (DType::BF16, false),
        (DType::F32, true),
        (DType::F16, false),
        (DType::F64, false),
    ]);
}

/// A combination of directions is that of their noise: the vector of MeZO-GV is made of what was ranked.
#[test]
fn directions_add_up() {
    for spec in specs() {
        let (step, v) = (3, z(1) * 0.5 - z(2) * 1.5);
        let mut probed = model::<B>(&spec, (NoiseKind::Gaussian, DType::F32, false));
        let start = probed.module().weights();
        probed.begin(step).expect("at rest");
        probed.move_to(&v).expect("a pass");
        let (a, b) = (noise_of(&spec, step, 1), noise_of(&spec, step, 2));
        for (tensor, found) in probed.module().weights().iter().enumerate() {
            for (i, found) in found.iter().enumerate() {
                let (a, b) = (f64::from(a[tensor][i]), f64::from(b[tensor][i]));
                let expected = f64::from(start[tensor][i]) + EPS * (0.5 * a - 1.5 * b);
                // a few roundings of numbers below 1, and of products of factors
                let error = (f64::from(*found) - expected).abs();
                assert!(error < 4e-7, "{spec:?} {tensor} {i}: {error}");
            }
        }
    }
}

/// With exact steps a walk through several steps of a run, over and past their probes, ends in the bits of the updates
/// alone, merged or not; and without updates in those of the start.
#[test]
fn exact_steps_forget_the_path() {
    for spec in specs() {
        let updates: Vec<AppliedUpdate> = (0..13)
            .map(|step| {
                let direction = (z(2 * step) - z(2 * step + 1)) * (step as f64 + 0.7).sin();
                at(step, direction, 1e-3 * (step % 4 + 1) as f64)
            })
            .collect();
        let mut live = exact(&spec);
        assert_eq!(live.arithmetic(), Arithmetic::Exact);
        let start = live.module().weights();
        for update in &updates {
            live.begin(update.step).expect("at rest");
            live.move_to(&update.direction).expect("a pass");
            live.move_to(&-z(2 * update.step)).expect("a pass");
            live.update(update).expect("a pass");
        }
        assert_eq!(live.passes(), 3 * updates.len() as u64);
        assert_ne!(live.module().weights(), start);

        let mut merged = exact(&spec);
        merged.update_all(&updates).expect("passes");
        assert_eq!(
            merged.module().weights(),
            live.module().weights(),
            "{spec:?}"
        );
        // a pass for all steps in which seeds mean the same
        let passes = match spec.family {
            FamilySpec::Subzero { refresh, .. } | FamilySpec::Lozo { refresh, .. } => {
                13u64.div_ceil(refresh)
            }
            FamilySpec::Blocks { .. } => 13,
            _ => 1,
        };
        assert_eq!(merged.passes(), passes, "{spec:?}");

        let mut wandering = exact(&spec);
        for step in [0, 1, 2, 7, 3, 0, 12, 5] {
            wandering.begin(step).expect("at rest");
            wandering.move_to(&(z(step) - z(1) * 0.3)).expect("a pass");
            wandering.move_to(&-z(9)).expect("a pass");
        }
        wandering.check_range().expect("small weights");
        let end = wandering.into_module().expect("a pass");
        assert_eq!(end.weights(), start, "{spec:?}");
    }
}

/// Seeds do not change their meaning between a probe and the way back from it.
#[test]
fn a_step_begins_at_rest() {
    for spec in specs() {
        let mut model = exact(&spec);
        let start = model.module().weights();
        model.move_to(&z(1)).expect("a pass");
        model.begin(5).expect("a pass");
        let dense = matches!(spec.family, FamilySpec::Dense | FamilySpec::Sparse { .. });
        // where nothing changes its meaning, nothing has to move
        assert_eq!(model.at().is_zero(), !dense, "{spec:?}");
        if !dense {
            assert_eq!(model.module().weights(), start, "{spec:?}");
            let error = model
                .update(&at(0, z(1), 1e-3))
                .expect_err("another step's");
            let expected = PerturbError::OtherStep {
                update: 0,
                since: match spec.family {
                    FamilySpec::Subzero { .. } => 3,
                    FamilySpec::Blocks { .. } => 5,
                    _ => 4,
                },
            };
            assert_eq!(error, expected);
        }
    }
}

fn are_where_a_hop_ends<B: NoiseBackend>(dtype: DType, exact: bool) {
    let v = z(2) * 0.5 - z(3) * 1.5 + z(4);
    let directions = [z(1), v.clone(), -v, Direction::zero(), z(4), -z(4)];
    let asked: [u32; 7] = [0, 1, 2, 13, 149, 13, 5];
    for spec in specs() {
        for step in [0, 1, 5] {
            let with = (NoiseKind::Gaussian, dtype, exact);
            let mut standing = model::<B>(&spec, with);
            let before = standing.module().weights();
            standing.begin(step).expect("at rest");
            let found = standing.at_probes(&directions, |net, probes| {
                let nets = probes.iter().flat_map(|probe| probe.moved(net));
                let rows = probes
                    .iter()
                    .flat_map(|probe| probe.rows(&net.table, &asked));
                (nets.collect::<Vec<_>>(), rows.collect::<Vec<_>>())
            });
            let (nets, rows) = found.expect("finite");
            assert_eq!(
                (nets.len(), rows.len()),
                (directions.len(), directions.len())
            );
            for ((net, rows), direction) in nets.iter().zip(rows).zip(&directions) {
                let mut walking = model::<B>(&spec, with);
                walking.begin(step).expect("at rest");
                walking.move_to(direction).expect("a pass");
                let label = format!("{spec:?}, step {step}, {direction:?}");
                assert_eq!(net.weights(), walking.module().weights(), "{label}");
                let ids: Vec<i32> = asked.iter().map(|row| *row as i32).collect();
                let ids = Tensor::from_ints(&ids[..], &B::Device::default());
                let expected = walking.module().table.val().select(0, ids);
                assert_eq!(rows.into_data(), expected.into_data(), "{label}");
            }
            assert_eq!(standing.module().weights(), before);
        }
    }
}

#[test]
fn probes_out_of_place_are_where_a_hop_ends() {
    are_where_a_hop_ends::<B>(DType::F32, true);
    are_where_a_hop_ends::<Flex>(DType::F16, false);
}

/// The singular values of a matrix, the largest first, by the power of its Gram matrix: enough to count those that are
/// not 0.
fn rank_of(matrix: &[f32], columns: usize) -> usize {
    let mut rows: Vec<Vec<f64>> = matrix
        .chunks(columns)
        .map(|row| row.iter().map(|x| f64::from(*x)).collect())
        .collect();
    let mut rank = 0;
    // elimination with full pivoting
    while rank < rows.len().min(columns) {
        let mut best = (0.0, rank, rank);
        for (i, row) in rows.iter().enumerate().skip(rank) {
            for (j, x) in row.iter().enumerate().skip(rank) {
                if x.abs() > best.0 {
                    best = (x.abs(), i, j);
                }
            }
        }
        // f32 products of numbers of some units
        if best.0 < 1e-4 {
            break;
        }
        rows.swap(rank, best.1);
        for row in &mut rows {
            row.swap(rank, best.2);
        }
        let pivot = rows[rank].clone();
        for row in rows.iter_mut().skip(rank + 1) {
            let factor = row[rank] / pivot[rank];
            for (x, p) in row.iter_mut().zip(&pivot) {
                *x -= factor * p;
            }
        }
        rank += 1;
    }
    rank
}

/// Ranks, also of what is stacked: all perturbations of a time share their columns (SubZero) or rows (both), and those of
/// another time do not.
#[test]
fn subspaces_are_kept_and_drawn_anew() {
    for (family, rank, refresh, left_is_kept) in [
        (
            FamilySpec::Subzero {
                rank: 6,
                refresh: 3,
            },
            6,
            3,
            true,
        ),
        (
            FamilySpec::Lozo {
                rank: 2,
                refresh: 3,
            },
            2,
            3,
            false,
        ),
    ] {
        let spec = PerturbationSpec::new(family);
        let layer = 2;
        let [rows, columns] = SHAPES[layer];
        let at = |step, seed| noise_of(&spec, step, seed).swap_remove(layer);
        let below = |a: &[f32], b: &[f32]| [a, b].concat();
        let beside = |a: &[f32], b: &[f32]| {
            let pairs = a.chunks(columns).zip(b.chunks(columns));
            pairs
                .flat_map(|(a, b)| [a, b].concat())
                .collect::<Vec<f32>>()
        };
        let (a, b, later) = (at(0, 1), at(refresh - 1, 2), at(refresh, 2));
        for z in [&a, &b, &later] {
            assert_eq!(rank_of(z, columns), rank);
        }
        assert_eq!(rank_of(&below(&a, &b), columns), rank, "rows are kept");
        assert_eq!(
            rank_of(&below(&a, &later), columns),
            2 * rank,
            "and drawn anew"
        );
        let expected = if left_is_kept { rank } else { 2 * rank };
        assert_eq!(rank_of(&beside(&a, &b), 2 * columns), expected);
        assert_eq!(rank_of(&beside(&a, &later), 2 * columns), 2 * rank);
        // the same seed in the same time is the same noise
        assert_eq!(at(0, 1), at(refresh - 1, 1));
        // vectors move densely, as without the family
        let dense = noise_of(&PerturbationSpec::default(), 0, 1);
        let found = noise_of(&spec, 0, 1);
        assert_eq!((&found[3], &found[8]), (&dense[3], &dense[8]));
        assert_ne!(found[2], dense[2]);
        assert_eq!(found[2].len(), rows * columns);
    }
}

/// Every family is as long as dense noise where it moves: the mean square of an element is 1, within 5 standard errors of
/// a mean over seeds and subspaces, which are taken as the spread over these shows them. Different tensors, seeds and
/// subspaces have nothing to do with each other.
#[test]
fn noise_has_the_moments_of_dense_noise() {
    let draws = 200;
    for spec in specs() {
        let many: Vec<Vec<Vec<f32>>> = (0..draws).map(|k| noise_of(&spec, 12 * k, k)).collect();
        for tensor in 0..9 {
            let matrix = [0, 1, 2, 4, 6].contains(&tensor);
            let scale = match (spec.scales.are_one(), matrix, tensor) {
                (true, ..) => 1.0,
                (false, _, 1) => 0.0,
                (false, true, _) => 1.0,
                (false, false, _) => 25.0,
            };
            let expected = scale
                * match spec.family {
                    FamilySpec::Sparse { density, .. } if matrix => density,
                    _ => 1.0,
                };
            let mean = |z: &[f32], of: &dyn Fn(f64) -> f64| {
                z.iter().map(|x| of(f64::from(*x))).sum::<f64>() / z.len() as f64
            };
            let moving = many.iter().map(|z| &z[tensor]);
            // a block that stands still is all 0
            let moving: Vec<_> = moving
                .filter(|z| scale == 0.0 || z.iter().any(|x| *x != 0.0))
                .collect();
            if let FamilySpec::Blocks { order } = spec.family {
                let share = moving.len() as f64 / draws as f64;
                match order {
                    // 12 steps are three times round
                    BlockOrder::InTurn => assert!(share == 0.0 || share == 1.0, "{share}"),
                    // five standard deviations of a quarter of 200
                    _ => assert!((share - 0.25).abs() < 0.153, "{share}"),
                }
                if moving.is_empty() {
                    continue;
                }
            } else {
                assert_eq!(moving.len(), draws as usize);
            }
            let n = moving.len() as f64;
            let spread = |values: &[f64], about: f64| {
                let square = values.iter().map(|x| (x - about).powi(2)).sum::<f64>();
                (square / n).sqrt() / n.sqrt()
            };
            let squares: Vec<f64> = moving.iter().map(|z| mean(z, &|x| x * x)).collect();
            let found = squares.iter().sum::<f64>() / n;
            let error =
                5.0 * spread(&squares, found) + 1e-6 + 0.02 * f64::from(spec_is_masked(&spec));
            assert!(
                (found - expected).abs() <= error,
                "{spec:?} {tensor}: {found} +- {error}"
            );
            let means: Vec<f64> = moving.iter().map(|z| mean(z, &|x| x)).collect();
            let found = means.iter().sum::<f64>() / n;
            assert!(
                found.abs() <= 5.0 * spread(&means, 0.0) + 1e-9,
                "{spec:?} {tensor}: {found}"
            );
            // neighbours in rows and columns, other seeds
            let width = if matrix {
                [37, 37, 90, 0, 90, 0, 90][tensor]
            } else {
                1
            };
            for apart in [1, width] {
                let products: Vec<f64> = moving
                    .iter()
                    .map(|z| {
                        let pairs = z.iter().zip(&z[apart..]);
                        pairs
                            .map(|(a, b)| f64::from(*a) * f64::from(*b))
                            .sum::<f64>()
                            / z.len() as f64
                    })
                    .collect();
                let found = products.iter().sum::<f64>() / n;
                let error = 5.0 * spread(&products, 0.0) + 1e-9;
                assert!(found.abs() <= error, "{spec:?} {tensor} {apart}: {found}");
            }
        }
    }
}

/// A random mask of some thousand weights has its share to two hundredths.
fn spec_is_masked(spec: &PerturbationSpec) -> bool {
    matches!(spec.family, FamilySpec::Sparse { .. })
}

/// A mask is made of the weights that a run starts from, whatever becomes of them: what it leaves out has its bits for
/// ever. A mask made anew of the moved weights would be another one in the update than in the probe.
#[test]
fn masked_weights_stand_still_and_the_others_move() {
    for rule in [MaskRule::Random, MaskRule::Small, MaskRule::Large] {
        let spec = PerturbationSpec::new(FamilySpec::Sparse {
            mask: rule,
            density: 0.25,
            hash: None,
        });
        let net = Net::<B>::new(DType::F32);
        let mask = Mask::of(&net, &space(), rule, 0.25, Seed::new(77));
        let matrices = SHAPES.iter().map(|[rows, columns]| rows * columns);
        let share = mask.count() as f64 / matrices.sum::<usize>() as f64;
        assert!((share - 0.25).abs() < 0.02, "{share}");
        let mut model = model::<B>(&spec, (NoiseKind::Gaussian, DType::F32, false));
        let start = model.module().weights();
        let mut moved: Vec<Vec<bool>> = start.iter().map(|w| vec![false; w.len()]).collect();
        for step in 0..30 {
            model.begin(step).expect("at rest");
            model.move_to(&z(step)).expect("a pass");
            model.update(&at(step, z(step), 0.05)).expect("a pass");
            // now and then a sum of noise is 0
            for ((moved, a), b) in moved.iter_mut().zip(&start).zip(model.module().weights()) {
                for ((moved, a), b) in moved.iter_mut().zip(a).zip(b) {
                    *moved |= *a != b;
                }
            }
        }
        let end = model.module().weights();
        let mut count = 0;
        for tensor in [0, 1, 2, 4, 6] {
            let (mut still, mut moving) = (Vec::new(), Vec::new());
            for (i, weight) in start[tensor].iter().enumerate() {
                match moved[tensor][i] {
                    true => moving.push(weight.abs()),
                    // to the bit, to the end
                    false => {
                        assert_eq!(end[tensor][i], *weight);
                        still.push(weight.abs());
                    }
                }
            }
            count += moving.len() as u64;
            let largest = |sizes: &[f32]| sizes.iter().copied().fold(0.0, f32::max);
            let smallest = |sizes: &[f32]| sizes.iter().copied().fold(9.0, f32::min);
            match rule {
                MaskRule::Small => assert!(largest(&moving) <= smallest(&still)),
                MaskRule::Large => assert!(largest(&still) <= smallest(&moving)),
                _ => {}
            }
        }
        assert_eq!(count, mask.count(), "{rule:?}");
    }
}

#[test]
fn a_mask_is_noted_by_its_hash_and_another_one_is_refused() {
    let net = Net::<B>::new(DType::F32);
    let mut spec = PerturbationSpec::new(FamilySpec::Sparse {
        mask: MaskRule::Small,
        density: 0.25,
        hash: None,
    });
    let make = |spec: &mut PerturbationSpec, net: &Net<B>| {
        spec.perturbation(NoiseKind::Gaussian, net, &space(), Seed::new(1))
    };
    make(&mut spec, &net).expect("a mask");
    let noted = spec.clone();
    let FamilySpec::Sparse {
        hash: Some(hash), ..
    } = &noted.family
    else {
        panic!("{noted:?}");
    };
    assert!(hash.starts_with("sha256:") && hash.len() == 71, "{hash}");
    make(&mut spec, &net).expect("the same mask");
    assert_eq!(spec, noted);
    let mut other = Net::<B>::new(DType::F32);
    other.table = other.table.map(|w| w.neg() + 0.1);
    let error = make(&mut spec, &other).expect_err("another mask");
    assert!(error.to_string().contains(hash), "{error}");
}

#[test]
fn one_block_moves_a_step() {
    let space = space();
    let blocks = Blocks::new(&space, BlockOrder::InTurn, Seed::new(1));
    assert_eq!(blocks.count(), 4);
    let spec = PerturbationSpec::new(FamilySpec::Blocks {
        order: BlockOrder::InTurn,
    });
    let of_layer = |k: usize| vec![2 + 2 * k, 3 + 2 * k];
    let expected = [vec![0, 1, 8], of_layer(0), of_layer(1), of_layer(2)];
    for step in 0..8 {
        let mut model = model::<B>(&spec, (NoiseKind::Gaussian, DType::F32, false));
        model.begin(step).expect("at rest");
        // all that is asked in a step is in the same block, whatever the seeds
        let moves = model.at_probes(&[z(1), z(2)], |net, probes| {
            let moves = |probe: &zograd_perturb::Probe<'_>| {
                let layers = net.layers.iter().map(|layer| probe.moves(layer));
                let mut moves = vec![probe.moves(&net.table)];
                moves.extend(layers);
                moves
            };
            assert_eq!(moves(&probes[0]), moves(&probes[1]));
            moves(&probes[0])
        });
        let turn = (step % 4) as usize;
        let one: Vec<bool> = (0..4).map(|block| block == turn).collect();
        assert_eq!(moves.expect("finite"), one);
        let noise = noise_of(&spec, step, 1);
        let moved = (0..noise.len()).filter(|t| noise[*t].iter().any(|x| *x != 0.0));
        assert_eq!(moved.collect::<Vec<_>>(), expected[turn]);
        let dense = noise_of(&PerturbationSpec::default(), 0, 1);
        for tensor in &expected[turn] {
            assert_eq!(noise[*tensor], dense[*tensor]);
        }
        let weights: usize = expected[turn].iter().map(|t| noise[*t].len()).sum();
        assert_eq!(model.length(&z(1)), (weights as f64).sqrt());
    }
    let random = Blocks::new(&space, BlockOrder::Random, Seed::new(1));
    let drawn: Vec<u64> = (0..40).map(|step| random.at(step)).collect();
    assert!((0..4).all(|block| drawn.contains(&block)), "{drawn:?}");
    assert_ne!(drawn, (0..40).map(|step| step % 4).collect::<Vec<_>>());
}

/// The same factor in the probe and in the update: `applied = probed` is tested with all the others.
#[test]
fn scales_are_those_of_the_kind_of_tensor() {
    let mut spec = PerturbationSpec::default();
    spec.scales.vectors = 5.0;
    spec.scales.positions = 0.0;
    let (scaled, dense) = (
        noise_of(&spec, 0, 3),
        noise_of(&PerturbationSpec::default(), 0, 3),
    );
    for (tensor, (scaled, dense)) in scaled.iter().zip(&dense).enumerate() {
        let scale = match tensor {
            1 => 0.0,
            3 | 5 | 7 | 8 => 5.0,
            _ => 1.0,
        };
        let expected: Vec<f32> = dense.iter().map(|z| scale * z).collect();
        assert_eq!(*scaled, expected, "{tensor}");
    }
    let model = model::<B>(&spec, (NoiseKind::Gaussian, DType::F32, false));
    let vectors = 3 * 90 + 37;
    let tables = 150 * 37 + 3 * 37 * 90;
    assert_eq!(model.length(&z(1)), ((25 * vectors + tables) as f64).sqrt());
}

/// A scaled coefficient that is no number any more is refused like any other, before anything moved.
#[test]
fn what_is_too_long_is_refused() {
    let mut scaled = PerturbationSpec::default();
    scaled.scales.vectors = 100.0;
    let mut model = model::<B>(&scaled, (NoiseKind::Gaussian, DType::F32, false));
    let start = model.module().weights();
    let error = model.update(&at(0, z(1) * 1e37, 1.0)).expect_err("refused");
    assert!(matches!(error, PerturbError::NonFinite(_)), "{error}");
    assert_eq!(model.module().weights(), start);
    // on grids there is as much room as the largest number of the family allows
    for spec in specs() {
        let mut on_grids = exact(&spec);
        let start = on_grids.module().weights();
        let error = on_grids.move_to(&(z(1) * 1e4)).expect_err("refused");
        assert!(
            matches!(error, PerturbError::TooFar { .. }),
            "{spec:?}: {error}"
        );
        // and probes of the usual length have it
        on_grids
            .move_to(&(z(1) * 8.0 - z(2) * 8.0))
            .expect("a pass");
        on_grids.move_to(&Direction::zero()).expect("a pass");
        assert_eq!(on_grids.module().weights(), start, "{spec:?}");
    }
}

/// No element is larger than a family says: exact steps are sized by it.
#[test]
fn elements_are_no_larger_than_promised() {
    let (net, space) = (Net::<B>::new(DType::F32), space());
    for (rank, refresh) in [(1, 2), (3, 5), (18, 1)] {
        let kind = NoiseKind::Gaussian;
        let subzero = zograd_perturb::family::Subzero::new(rank, refresh, kind, Seed::new(5));
        let lozo = zograd_perturb::family::Lozo::new(rank, refresh, kind, Seed::new(5));
        let mask = Mask::of(&net, &space, MaskRule::Random, 0.5, Seed::new(5));
        let sparse = zograd_perturb::family::Sparse::new(kind, mask);
        let families: [&dyn Family; 3] = [&subzero, &lozo, &sparse];
        for family in families {
            for parameter in space.parameters() {
                for step in 0..20 {
                    let most = family.largest(parameter, step);
                    let mut z = vec![0f32; parameter.len()];
                    match family.part(parameter, step, Seed::new(step)) {
                        Part::Made(values) => values.fill(0, &mut z),
                        _ => noise::fill(Seed::new(step), parameter.id, kind, 0, &mut z),
                    }
                    let largest = z.iter().fold(0f32, |most, x| most.max(x.abs()));
                    assert!(f64::from(largest) <= most, "{family:?} {largest} {most}");
                    // and the promise is not an empty one
                    assert!(most < 3000.0, "{family:?}: {most}");
                }
            }
        }
    }
}

/// 16-bit weights with originals: brought back, they are the rounded f32 numbers of the same updates.
#[test]
fn originals_take_the_same_updates() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, spec) in specs().into_iter().enumerate() {
        let net = Net::<Flex>::new(DType::BF16);
        let noise = perturbation(&spec, NoiseKind::Gaussian, &net);
        let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
        let grids = Grids::of_noise(&net, &space, &noise, EPS, 1e-2).expect("finite");
        let path = folder.path().join(number.to_string());
        let originals = Originals::create(path, &net, space.clone(), noise.clone(), grids.clone())
            .expect("a file");
        let updates: Vec<_> = (0..9).map(|step| at(step, z(step) * 3.0, 1e-2)).collect();

        let wide_space = space_of_f32();
        let mut wide = Net::<Flex>::new(DType::F32);
        // from the same 16-bit numbers
        let device = Default::default();
        wide = wide.map(&mut Rounded(&device));
        let mut reference =
            Perturbed::on_grids(wide, wide_space, noise.clone(), EPS, grids).expect("f32");
        reference.update_all(&updates).expect("passes");

        let mut model = Perturbed::new(net, space, noise, EPS)
            .expect("its own space")
            .anchored(originals);
        for update in &updates {
            model.begin(update.step).expect("at rest");
            model.move_to(&z(update.step)).expect("a pass");
            model.update(update).expect("a pass");
        }
        model.reanchor().expect("a file").expect("a drift");
        let expected: Vec<Vec<f32>> = reference
            .module()
            .weights()
            .iter()
            .map(|tensor| {
                tensor
                    .iter()
                    .map(|w| half::bf16::from_f32(*w).to_f32())
                    .collect()
            })
            .collect();
        assert_eq!(model.module().weights(), expected, "{spec:?}");
    }
}

fn space_of_f32() -> ParameterSpace {
    let net = Net::<Flex>::new(DType::F32);
    ParameterSpace::select(&net, &Selection::All).expect("parameters")
}

/// Rounds to bf16 and back.
struct Rounded<'a>(&'a burn_flex::FlexDevice);

impl burn::module::ModuleMapper<Flex> for Rounded<'_> {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<Flex, D>>,
    ) -> Param<Tensor<Flex, D>> {
        param.map(|tensor| {
            let data = tensor
                .into_data()
                .convert_dtype(DType::BF16)
                .convert_dtype(DType::F32);
            Tensor::from_data(data, (self.0, DType::F32))
        })
    }
}

#[test]
fn settings_out_of_their_range_are_named() {
    let net = Net::<B>::new(DType::F32);
    let sparse = |density| FamilySpec::Sparse {
        mask: MaskRule::Random,
        density,
        hash: None,
    };
    let own = FamilySpec::Own {
        name: "mine".into(),
    };
    for (family, scales, expected) in [
        (
            FamilySpec::Lozo {
                rank: 0,
                refresh: 1,
            },
            [1.0, 1.0],
            "`perturbation-rank = 0`",
        ),
        (
            FamilySpec::Subzero {
                rank: 5000,
                refresh: 1,
            },
            [1.0, 1.0],
            "`perturbation-rank = 5000`",
        ),
        (
            FamilySpec::Subzero {
                rank: 5,
                refresh: 0,
            },
            [1.0, 1.0],
            "`refresh = 0`",
        ),
        (sparse(0.0), [1.0, 1.0], "`density = 0`"),
        (sparse(1.5), [1.0, 1.0], "`density = 1.5`"),
        (sparse(f64::NAN), [1.0, 1.0], "`density = NaN`"),
        (FamilySpec::Dense, [-1.0, 1.0], "`scale-1d = -1`"),
        (
            FamilySpec::Dense,
            [1.0, f64::INFINITY],
            "`scale-positions = inf`",
        ),
        (own, [1.0, 1.0], "\"mine\" is a family of another program"),
    ] {
        let mut spec = PerturbationSpec::new(family);
        spec.scales = Scales {
            vectors: scales[0],
            positions: scales[1],
        };
        let made = spec.perturbation(NoiseKind::Gaussian, &net, &space(), Seed::new(1));
        let error = made.expect_err("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// What a log holds of a family: a change here makes logs unreadable.
#[test]
fn settings_stand_in_a_log_as_they_always_did() {
    let text = |spec: &PerturbationSpec| serde_json::to_string(spec).expect("JSON");
    let expected = [
        r#"{"family":"dense"}"#,
        r#"{"family":"subzero","rank":6,"refresh":3}"#,
        r#"{"family":"lozo","rank":2,"refresh":4}"#,
        r#"{"family":"blocks","order":"in-turn"}"#,
        r#"{"family":"blocks","order":"random"}"#,
        r#"{"family":"sparse","mask":"random","density":0.25}"#,
        r#"{"family":"sparse","mask":"small","density":0.25}"#,
        r#"{"family":"sparse","mask":"large","density":0.25}"#,
        r#"{"family":"lozo","rank":1,"refresh":2,"scales":{"vectors":5.0,"positions":0.0}}"#,
    ];
    for (spec, expected) in specs().iter().zip(expected) {
        assert_eq!(text(spec), expected);
        let read: PerturbationSpec = serde_json::from_str(expected).expect("the same");
        assert_eq!(&read, spec);
    }
    let unknown = r#"{"family":"lozo","rank":1,"refresh":2,"beta":0.9}"#;
    assert!(serde_json::from_str::<PerturbationSpec>(unknown).is_err());
}

/// What a seed means is part of every log: a change here is a new version. The numbers were computed by
/// tests/family_reference.py, which shares no code with this.
#[test]
fn value_stability() {
    let parameter = ParameterSpec::new("layers.0.weight".into(), vec![12, 20], DType::F32);
    assert_eq!(parameter.id, TensorId::of("layers.0.weight"));
    let (kind, seed) = (NoiseKind::Gaussian, Seed::new(42));
    let subzero = zograd_perturb::family::Subzero::new(3, 10, kind, seed);
    let lozo = zograd_perturb::family::Lozo::new(2, 10, kind, seed);
    let bits = |family: &dyn Family, step: u64| -> Vec<u32> {
        let Part::Made(values) = family.part(&parameter, step, Seed::new(7)) else {
            panic!("a matrix");
        };
        let mut z = [0f32; 240];
        values.fill(0, &mut z);
        [0, 1, 19, 20, 117, 239]
            .map(|i: usize| z[i].to_bits())
            .to_vec()
    };
    let found = [
        bits(&subzero, 0),
        bits(&subzero, 25),
        bits(&lozo, 0),
        bits(&lozo, 25),
    ];
    assert_eq!(found, STABLE, "{found:#010x?}");

    let net = Net::<B>::new(DType::F32);
    let hash = |rule| Mask::of(&net, &space(), rule, 0.25, seed).hash();
    let found = [MaskRule::Random, MaskRule::Small, MaskRule::Large].map(hash);
    assert_eq!(found, STABLE_MASKS);
    let random = Blocks::new(&space(), BlockOrder::Random, seed);
    let found: Vec<u64> = (0..16).map(|step| random.at(step)).collect();
    assert_eq!(found, STABLE_BLOCKS);
}

/// Numbers of a family of one's own are moved like all others.
#[test]
fn a_family_of_ones_own_is_one_like_the_others() {
    #[derive(Debug)]
    struct Outer;
    impl Family for Outer {
        fn part(&self, parameter: &ParameterSpec, step: u64, seed: Seed) -> Part {
            let [rows, columns] = parameter.shape[..] else {
                return Part::Dense;
            };
            let factor = |n, salt| {
                let mut values = vec![0f32; n];
                noise::fill(
                    seed.child(salt),
                    parameter.id,
                    NoiseKind::Rademacher,
                    0,
                    &mut values,
                );
                values
            };
            let sign = if self.since(step).is_multiple_of(4) {
                1.0
            } else {
                -1.0
            };
            let left = factor(rows, 0).iter().map(|x| sign * x).collect();
            Part::made(LowRank::new(left, &factor(columns, 1), 1))
        }

        fn since(&self, step: u64) -> u64 {
            step - step % 2
        }
    }
    let net = Net::<B>::new(DType::F32);
    let own = Perturbation::new(NoiseKind::Gaussian, Outer);
    let grids = Grids::of_noise(&net, &space(), &own, EPS, 1e-2).expect("f32");
    let mut model = Perturbed::on_grids(net, space(), own, EPS, grids).expect("its own space");
    let start = model.module().weights();
    for step in 0..6 {
        model.begin(step).expect("at rest");
        model.move_to(&z(1)).expect("a pass");
        let sign = if step / 2 % 2 == 0 { 1.0 } else { -1.0 };
        let first = f64::from(model.module().weights()[0][0] - start[0][0]);
        let mut left = [0f32];
        let mut right = [0f32];
        let id = TensorId::of("table");
        noise::fill(
            Seed::new(1).child(0),
            id,
            NoiseKind::Rademacher,
            0,
            &mut left,
        );
        noise::fill(
            Seed::new(1).child(1),
            id,
            NoiseKind::Rademacher,
            0,
            &mut right,
        );
        let expected = EPS * sign * f64::from(left[0] * right[0]);
        // one rounding to the grid
        assert!(
            (first - expected).abs() < 1e-6,
            "{step}: {first} {expected}"
        );
        // there and back: the update of the opposite step size
        model
            .update(&at(step, Direction::zero(), 1e-3))
            .expect("a pass");
        assert_eq!(model.module().weights(), start);
    }
}

const STABLE: [[u32; 6]; 4] = [
    [
        0x3f1e8cda, 0x3fa03f7b, 0xbedfa694, 0xbd95a8c4, 0xbe9feffd, 0xbec3e402,
    ],
    [
        0xbe3e1481, 0xbc4acd51, 0x3e30ad53, 0xbe821f91, 0x3e77c112, 0xbd3abac6,
    ],
    [
        0xbeb55f76, 0x3fa0dde6, 0x3f8beb34, 0x3e66844e, 0x3f5ebd17, 0xbec76773,
    ],
    [
        0x401f02b9, 0xbe97aca6, 0xbf18e96f, 0x3f5ebd17, 0xbef1d49c, 0x3ec2ced4,
    ],
];
const STABLE_MASKS: [&str; 3] = [
    "sha256:26f7e420b5da9d676e0df55e290aebf06fd203f012fc86713889b36c7d8079d3",
    "sha256:e355514ec093cd5d016abd7dc8ab986e4e5793f3dd573454afb2b21af517d876",
    "sha256:017a0864b8453f163d09165b2dc0ea9a9462005c6c45c6c353ef939f66b52edb",
];
const STABLE_BLOCKS: [u64; 16] = [1, 0, 2, 2, 3, 2, 0, 1, 1, 0, 3, 0, 2, 3, 0, 3];

/// Updates of which nothing is left in the history need not be recalled; where a block stood still meanwhile, all are.
#[test]
fn a_history_recalled_at_once_is_that_of_every_update() {
    let update = |step: u64| {
        let z = |index| Direction::unit(Seed::new(100 + step).child(index));
        let first = if step < 7 { 1.0 } else { 0.5 };
        let momentum = Momentum {
            fresh: z(0),
            around: z(1) + Direction::unit(Momentum::HISTORY),
            first,
            second: first,
            falls: step.is_multiple_of(2),
        };
        AppliedUpdate::new(Direction::unit(Momentum::QUOTIENT), 1e-3)
            .with_decay(0.0, step)
            .with_learnt(Some(Learnt::Momentum(momentum)))
    };
    let updates: Vec<AppliedUpdate> = (0..9).map(update).collect();
    for spec in specs() {
        let start = || model::<B>(&spec, (NoiseKind::Gaussian, DType::F32, false));
        let (mut each, mut all) = (start(), start());
        for update in &updates {
            each.recall(update).expect("at rest");
        }
        all.recall_all(&updates).expect("at rest");
        for model in [&mut each, &mut all] {
            model.begin(9).expect("at rest");
        }
        for parameter in space().parameters() {
            let bits = |model: &Perturbed<B, Net<B>>| -> Option<Vec<u32>> {
                let history = model.history(&parameter.name)?;
                Some(history.into_iter().map(f32::to_bits).collect())
            };
            assert_eq!(bits(&each), bits(&all), "{} of {spec:?}", parameter.name);
        }
    }
}
