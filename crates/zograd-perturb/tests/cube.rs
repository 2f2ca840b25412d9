//! The kernel for GPUs against the definition of the noise and against the CPU, on the GPU backend that was compiled
//! in: see `gpu`.

mod gpu;

use burn::module::{Module, Param};
use burn::tensor::backend::{Backend, BackendTypes};
use burn::tensor::{Tensor, TensorData, TensorPrimitive};
use burn_ndarray::NdArray;
use gpu::{Device, Fused, Plain, device};
use proptest::prelude::*;
use zograd_perturb::family::{BlockOrder, FamilySpec, MaskRule, PerturbationSpec};
use zograd_perturb::{
    AppliedUpdate, Direction, Grids, NoiseBackend, NoiseKind, NoisePass, ParameterSpace, Perturbed,
    Seed, Selection, TensorId, noise,
};

type Cpu = NdArray<f32>;

const NAME: &str = "decoder.layers.0.fc1.weight";

fn pass(kind: NoiseKind, terms: &[(Seed, f32)], shrink: f32) -> NoisePass<'_> {
    let mut pass = NoisePass::new(TensorId::of(NAME), kind, terms);
    pass.shrink = shrink;
    pass
}

fn weights(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 37 % 1009) as f32 - 500.0) / 333.0)
        .collect()
}

fn moved<B: NoiseBackend>(device: &B::Device, weights: &[f32], pass: &NoisePass<'_>) -> Vec<f32> {
    let data = TensorData::new(weights.to_vec(), [weights.len()]);
    let tensor = Tensor::<B, 1>::from_data(data, device);
    values(added(tensor, pass))
}

fn added<B: NoiseBackend>(tensor: Tensor<B, 1>, pass: &NoisePass<'_>) -> Tensor<B, 1> {
    let moved = B::add_noise(tensor.into_primitive().tensor(), pass);
    Tensor::from_primitive(TensorPrimitive::Float(moved))
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().to_vec().expect("f32")
}

/// Zero plus one times z: the noise itself, for whole and broken vectors, units and blocks.
#[test]
fn noise_has_the_bits_of_the_definition() {
    let terms = [(Seed::new(0xfedc_ba98_7654_3210), 1.0)];
    for kind in NoiseKind::ALL {
        for n in [1, 3, 31, 32, 33, 512, 1000, 1004, 70_000] {
            let mut expected = vec![0.0; n];
            noise::fill(terms[0].0, TensorId::of(NAME), kind, 0, &mut expected);
            let zeros = vec![0.0; n];
            let pass = pass(kind, &terms, 0.0);
            assert_eq!(moved::<Plain>(&device(), &zeros, &pass), expected, "{n}");
            assert_eq!(moved::<Fused>(&device(), &zeros, &pass), expected, "{n}");
        }
    }
}

/// Where a fused multiply-add may be rounded twice, sums of several terms may differ in the last bits: by at
/// most one rounding of the largest intermediate (here below 16) for each operation.
#[test]
fn passes_equal_those_of_the_cpu() {
    let tolerance = |terms: usize| gpu::EXTRA_ROUNDINGS * 16.0 * f32::EPSILON * (terms + 2) as f32;
    let config = ProptestConfig::with_cases(24);
    proptest!(config, |(
        n in 1usize..5000,
        coefficients in prop::collection::vec(-1f32..1.0, 0..4),
        shrink in prop_oneof![Just(0.0f32), 0.0f32..0.1],
    )| {
        let terms: Vec<_> = (1u64..).map(Seed::new).zip(coefficients).collect();
        for kind in NoiseKind::ALL {
            let pass = pass(kind, &terms, shrink);
            let expected = moved::<Cpu>(&Default::default(), &weights(n), &pass);
            for actual in [
                moved::<Plain>(&device(), &weights(n), &pass),
                moved::<Fused>(&device(), &weights(n), &pass),
            ] {
                for (a, e) in actual.iter().zip(&expected) {
                    prop_assert!((a - e).abs() <= tolerance(terms.len()), "{a} for {e}");
                }
            }
        }
    });
}

/// Weights stay on their grid and come back to the bit. Where a fused multiply-add may be rounded twice, a term can lie
/// half-way between two multiples: one multiple for each of 4 terms in 11 hops at most.
#[test]
fn exact_steps_stay_on_the_grid() {
    fn check<B: NoiseBackend<Device = Device>>() {
        let start = weights(5000);
        let weight = Tensor::<B, 1>::from_data(TensorData::new(start.clone(), [5000]), &device());
        let module = TwoTensors::<B> {
            weight: Param::from_tensor(weight.reshape([50, 100])),
            bias: Param::from_tensor(Tensor::zeros([30], &device())),
        };
        let space = ParameterSpace::select(&module, &Selection::All).expect("two tensors");
        let grids = Grids::of(&module, &space, 1e-2, 0.0).expect("f32");
        let mut module =
            Perturbed::on_grids(module, space, NoiseKind::Gaussian, 1e-2, grids).expect("grids");
        let rounded = values(module.module().weight.val());
        // weights below 1.6: g = 2^-22
        let g = 1.0 / f32::from(1u16 << 11) / f32::from(1u16 << 11);
        for (r, s) in rounded.iter().zip(&start) {
            assert!(
                (r - s).abs() <= 0.5 * g && (r / g).fract() == 0.0,
                "{r} for {s}"
            );
        }
        let there: Direction = [(Seed::new(1), 1.0), (Seed::new(2), -0.5)]
            .into_iter()
            .collect();
        for _ in 0..5 {
            module.move_to(&there).expect("finite");
            module.move_to(&-&there).expect("finite");
        }
        let end = module.into_module().expect("finite");
        for (e, r) in values(end.weight.val()).iter().zip(&rounded) {
            assert!(
                (e - r).abs() <= gpu::EXTRA_ROUNDINGS * 44.0 * g,
                "{e} for {r}"
            );
            assert_eq!((e / g).fract(), 0.0, "{e}");
        }
    }
    check::<Plain>();
    check::<Fused>();
}

/// Noise that no kernel makes is added by the processor, to its own bits, in 16-bit weights too; and one that is dense by the
/// kernel, in a block and scaled.
#[test]
fn families_move_as_on_the_cpu() {
    fn walk<B: NoiseBackend>(
        device: &<B as BackendTypes>::Device,
        spec: &PerturbationSpec,
    ) -> [Vec<f32>; 2] {
        let weight = Tensor::<B, 1>::from_data(TensorData::new(weights(600), [600]), device);
        let module = TwoTensors::<B> {
            weight: Param::from_tensor(weight.reshape([20, 30])),
            bias: Param::from_tensor(Tensor::zeros([30], device)),
        };
        let space = ParameterSpace::select(&module, &Selection::All).expect("two tensors");
        let noise = spec
            .clone()
            .perturbation(NoiseKind::Gaussian, &module, &space, Seed::new(3))
            .expect("in their range");
        let mut module = Perturbed::new(module, space, noise, 0.5).expect("its own space");
        for step in 0..3 {
            module.begin(step).expect("at rest");
            let there = Direction::unit(Seed::new(step));
            module.move_to(&there).expect("finite");
            let update = AppliedUpdate::new(there, 0.1).with_decay(0.01, step);
            module.update(&update).expect("finite");
        }
        let end = module.into_module().expect("finite");
        [values(end.weight.val()), values(end.bias.val())]
    }
    let mut scaled = PerturbationSpec::new(FamilySpec::Blocks {
        order: BlockOrder::InTurn,
    });
    scaled.scales.vectors = 5.0;
    for spec in [
        PerturbationSpec::new(FamilySpec::Subzero {
            rank: 4,
            refresh: 2,
        }),
        PerturbationSpec::new(FamilySpec::Lozo {
            rank: 2,
            refresh: 2,
        }),
        PerturbationSpec::new(FamilySpec::Sparse {
            mask: MaskRule::Small,
            density: 0.3,
            hash: None,
        }),
        scaled,
    ] {
        let expected = walk::<Cpu>(&Default::default(), &spec);
        for found in [
            walk::<Plain>(&device(), &spec),
            walk::<Fused>(&device(), &spec),
        ] {
            let pairs = found.iter().flatten().zip(expected.iter().flatten());
            for (a, e) in pairs {
                // a fused multiply-add may round twice on the device, in each of seven passes with numbers below 16
                assert!(
                    (a - e).abs() <= 64.0 * f32::EPSILON,
                    "{spec:?}: {a} for {e}"
                );
            }
        }
    }
}

/// A tensor that someone else holds too is copied, not changed behind their back.
#[test]
fn a_shared_tensor_is_copied() {
    fn check<B: NoiseBackend<Device = Device>>() {
        let data = TensorData::new(weights(100), [100]);
        let tensor = Tensor::<B, 1>::from_data(data, &device());
        let terms = [(Seed::new(1), 1.0)];
        let moved = values(added(
            tensor.clone(),
            &pass(NoiseKind::Gaussian, &terms, 0.0),
        ));
        assert_ne!(moved, weights(100));
        assert_eq!(values(tensor), weights(100));
    }
    check::<Plain>();
    check::<Fused>();
}

#[derive(Module, Debug)]
struct TwoTensors<B: Backend> {
    weight: Param<Tensor<B, 2>>,
    bias: Param<Tensor<B, 1>>,
}

/// The whole path of a module: between other operations in the fused stream, transposed in memory, there and
/// back again.
#[test]
fn a_module_walks_as_on_the_cpu() {
    fn walk<B: NoiseBackend>(device: &<B as BackendTypes>::Device) -> (Vec<f32>, Vec<f32>) {
        let weight = Tensor::<B, 1>::from_data(TensorData::new(weights(600), [600]), device);
        let module = TwoTensors::<B> {
            weight: Param::from_tensor(weight.reshape([20, 30]).transpose().mul_scalar(0.5)),
            bias: Param::from_tensor(Tensor::zeros([30], device)),
        };
        let space = ParameterSpace::select(&module, &Selection::All).expect("two tensors");
        let mut module =
            Perturbed::new(module, space, NoiseKind::Gaussian, 0.5).expect("its own space");
        let there: Direction = [(Seed::new(1), 1.0), (Seed::new(2), -0.5)]
            .into_iter()
            .collect();
        module.move_to(&there).expect("finite");
        let sum = module.module().weight.val() + module.module().bias.val().unsqueeze_dim(1);
        let sum = values(sum);
        let update = AppliedUpdate::new(there, 0.1).with_decay(0.01, 3);
        module.update(&update).expect("finite");
        let end = module.into_module().expect("finite");
        (sum, values(end.weight.val()))
    }
    let (sum, end) = walk::<Fused>(&device());
    let (expected_sum, expected_end) = walk::<Cpu>(&Default::default());
    for (actual, expected) in [(sum, expected_sum), (end, expected_end)] {
        assert_eq!(actual.len(), 600);
        for (a, e) in actual.iter().zip(&expected) {
            assert!((a - e).abs() <= 32.0 * f32::EPSILON, "{a} for {e}");
        }
    }
}
