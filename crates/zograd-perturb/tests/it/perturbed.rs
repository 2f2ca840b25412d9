//! Walking real burn modules: hops, restores, updates, on every CPU backend.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use zograd_perturb::{
    AppliedUpdate, Arithmetic, Direction, Grids, NoiseBackend, NoiseKind, Originals,
    ParameterError, ParameterSpace, PerturbError, Perturbed, Seed, Selection, StartWeights, noise,
};

/// A module with a matrix, a bias and a layer norm.
#[derive(Module, Debug)]
struct Net<B: Backend> {
    embed: Param<Tensor<B, 2>>,
    bias: Param<Tensor<B, 1>>,
    final_layer_norm: Param<Tensor<B, 1>>,
}

const WIDTH: usize = 37;
const ROWS: usize = 1500;

fn values(n: usize, salt: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 31 + salt * 17) % 1013) as f32 / 700.0 - 0.7)
        .collect()
}

impl<B: Backend> Net<B> {
    fn new(dtype: DType) -> Self {
        let device = B::Device::default();
        let param = |n, salt| TensorData::new(values(n, salt), [n]).convert_dtype(dtype);
        let vector =
            |n, salt| Param::from_tensor(Tensor::from_data(param(n, salt), (&device, dtype)));
        let matrix = TensorData::new(values(ROWS * WIDTH, 1), [ROWS, WIDTH]).convert_dtype(dtype);
        Self {
            embed: Param::from_tensor(Tensor::from_data(matrix, (&device, dtype))),
            bias: vector(WIDTH, 2),
            final_layer_norm: vector(WIDTH, 3),
        }
    }

    fn weights(&self) -> Vec<Vec<f32>> {
        let read = |data: TensorData| data.convert::<f32>().into_vec().expect("f32");
        vec![
            read(self.embed.val().into_data()),
            read(self.bias.val().into_data()),
            read(self.final_layer_norm.val().into_data()),
        ]
    }
}

/// All its parameters, of which the matrix decays.
fn space_of<B: Backend>(net: &Net<B>) -> ParameterSpace {
    let space = ParameterSpace::select(net, &Selection::All).expect("parameters");
    space.decaying(|name| name == "embed")
}

fn perturbed<B: NoiseBackend>(dtype: DType, eps: f64) -> Perturbed<B, Net<B>> {
    let net = Net::<B>::new(dtype);
    let space = space_of(&net);
    Perturbed::new(net, space, NoiseKind::Gaussian, eps).expect("its own space")
}

fn on_grids<B: NoiseBackend>(kind: NoiseKind, eps: f64) -> Perturbed<B, Net<B>> {
    let net = Net::<B>::new(DType::F32);
    let space = space_of(&net);
    let grids = Grids::of(&net, &space, eps, 0.0).expect("f32");
    Perturbed::on_grids(net, space, kind, eps, grids).expect("its own space")
}

/// A net of few weights, for long runs.
#[cfg(feature = "flex")]
fn small<B: NoiseBackend>(dtype: DType) -> Perturbed<B, Net<B>> {
    let mut net = Net::<B>::new(dtype);
    net.embed = net.embed.map(|w| w.narrow(0, 0, 20));
    let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
    Perturbed::new(net, space, NoiseKind::Gaussian, 1e-2).expect("its own space")
}

fn max_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

fn z(k: u64) -> Direction {
    Direction::unit(Seed::new(k))
}

fn decayed(direction: Direction, lr: f64, decay: f64, step: u64) -> AppliedUpdate {
    AppliedUpdate::new(direction, lr).with_decay(decay, step)
}

/// theta + eps * d computed from the definition of the noise, in f64.
fn expected<B: NoiseBackend>(net: &Net<B>, d: &Direction, scale: f64) -> Vec<Vec<f32>> {
    expected_of::<B>(&net.weights(), NoiseKind::Gaussian, d, scale)
}

fn expected_of<B: NoiseBackend>(
    weights: &[Vec<f32>],
    kind: NoiseKind,
    d: &Direction,
    scale: f64,
) -> Vec<Vec<f32>> {
    let net = Net::<B>::new(DType::F32);
    let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
    let tensors = weights.iter().zip(space.parameters());
    tensors
        .map(|(w, spec)| {
            let mut sum: Vec<f64> = w.iter().map(|w| f64::from(*w)).collect();
            let mut noise = vec![0f32; w.len()];
            for &(seed, c) in d.terms() {
                noise::fill(seed, spec.id, kind, 0, &mut noise);
                for (s, z) in sum.iter_mut().zip(&noise) {
                    *s += scale * c * f64::from(*z);
                }
            }
            sum.into_iter().map(|s| s as f32).collect()
        })
        .collect()
}

/// Weights are below 1 and noise below eps * 4.2 * 2: one rounding is at most 2^-24 of a value below 1 and
/// 2^-24 more for the sum of the noise.
const ONE_PASS: f32 = 2.0 / 16_777_216.0;

fn walks_to_the_definition<B: NoiseBackend>() {
    let start = Net::<B>::new(DType::F32);
    let mut model = perturbed::<B>(DType::F32, 1e-2);
    let d = z(1) * 0.5 - z(2) * 1.5;
    model.move_to(&d).expect("a pass");
    let error = max_difference(&model.module().weights(), &expected(&start, &d, 1e-2));
    assert!(error <= ONE_PASS, "{error}");
    assert_eq!((model.passes(), model.streams()), (1, 2));
}

fn restores<B: NoiseBackend>() {
    let start = Net::<B>::new(DType::F32).weights();
    let mut model = perturbed::<B>(DType::F32, 1e-3);
    model.move_to(&z(1)).expect("a pass");
    model.move_to(&-z(1)).expect("a pass");
    let net = model.into_module().expect("a pass");
    let drift = max_difference(&net.weights(), &start);
    assert!(drift <= 3.0 * ONE_PASS, "{drift}");
}

fn a_hop_is_restore_and_probe<B: NoiseBackend>() {
    let (a, b) = (z(1) - z(2), z(2) * 0.5 + z(3));
    let mut direct = perturbed::<B>(DType::F32, 1e-2);
    direct.move_to(&a).expect("a pass");
    direct.move_to(&b).expect("a pass");
    assert_eq!(direct.passes(), 2);
    let mut detour = perturbed::<B>(DType::F32, 1e-2);
    for stop in [&a, &Direction::zero(), &b] {
        detour.move_to(stop).expect("a pass");
    }
    let error = max_difference(&direct.module().weights(), &detour.module().weights());
    assert!(error <= 5.0 * ONE_PASS, "{error}");
}

/// The fused update equals restoring first and updating then, with the decay on the matrix alone.
fn updates_with_decay<B: NoiseBackend>() {
    let (lr, decay) = (0.1, 0.01);
    let start = Net::<B>::new(DType::F32);
    let step = z(1) * 0.3 - z(2) * 0.3;
    let mut model = perturbed::<B>(DType::F32, 1e-2);
    model.move_to(&-(z(1) - z(2))).expect("a pass");
    let update = AppliedUpdate::new(step.clone(), lr).with_decay(decay, 0);
    model.update(&update).expect("a pass");
    assert_eq!(model.passes(), 2);
    assert!(model.at().is_zero());
    let mut target = expected(&start, &step, -lr);
    for (t, w) in target[0].iter_mut().zip(&start.weights()[0]) {
        *t -= (lr * decay) as f32 * w;
    }
    let error = max_difference(&model.module().weights(), &target);
    assert!(error <= 5.0 * ONE_PASS, "{error}");
}

/// On grids the weights are a function of where the model is: 300 hops along the directions of a pool, over and
/// past each other, end in the bits of a single hop, and in those of the start.
fn exact_steps_forget_the_path<B: NoiseBackend>() {
    for kind in NoiseKind::ALL {
        let eps = 1e-3;
        let mut model = on_grids::<B>(kind, eps);
        assert_eq!(model.arithmetic(), Arithmetic::Exact);
        let start = model.module().weights();
        let rounding = max_difference(&start, &Net::<B>::new(DType::F32).weights());
        // weights below 0.75 * 2 < 2^24 g: g = 2^-23
        assert!(rounding <= 0.5 / 8_388_608.0, "{rounding}");
        let guide = (z(1) + z(2)) * 0.5 - (z(3) + z(4)) * 0.5;
        let stops = [z(1), z(2), guide.clone(), -guide.clone(), z(7) * 0.3];
        for k in 0..300 {
            model.move_to(&stops[k * k % stops.len()]).expect("a pass");
        }
        model.move_to(&guide).expect("a pass");
        let mut direct = on_grids::<B>(kind, eps);
        direct.move_to(&guide).expect("a pass");
        assert_eq!(model.module().weights(), direct.module().weights());
        let definition = expected_of::<B>(&start, kind, &guide, eps);
        // four terms, each rounded to a multiple of 2^-23
        let error = max_difference(&direct.module().weights(), &definition);
        assert!(error <= 4.0 * 0.51 / 8_388_608.0, "{error}");
        model.check_range().expect("small weights");
        let end = model.into_module().expect("a pass").weights();
        assert_eq!(end, start);
    }
}

/// The bits at the start are those after a pass that moves nothing: no zero has a sign.
#[test]
fn weights_on_grids_have_no_signed_zeros() {
    type B = burn_ndarray::NdArray<f32>;
    let mut net = Net::<B>::new(DType::F32);
    net.bias = net
        .bias
        .map(|w| w.mul_scalar(0.0).mul_scalar(-1.0).sub_scalar(1e-12));
    let space = space_of(&net);
    let grids = Grids::of(&net, &space, 1e-3, 0.0).expect("f32");
    let model = Perturbed::on_grids(net, space, NoiseKind::Gaussian, 1e-3, grids);
    let model = model.expect("its own space");
    let bias = &model.module().weights()[1];
    assert!(bias.iter().all(|w| w.to_bits() == 0), "{bias:?}");
}

fn updates(n: u64) -> Vec<AppliedUpdate> {
    let update = |k| {
        let direction = (z(2 * k) - z(2 * k + 1)) * (k as f64 + 0.7).sin();
        AppliedUpdate::new(direction, 1e-5 * (k % 100 + 1) as f64)
    };
    (0..n).map(update).collect()
}

/// A hundred steps merged into a few passes are the same bits as one after the other with probes in between.
fn exact_updates_can_be_merged<B: NoiseBackend>() {
    let updates = updates(100);
    let mut live = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    for update in &updates {
        live.move_to(&update.direction).expect("a pass");
        live.move_to(&-&update.direction).expect("a pass");
        live.update(update).expect("a pass");
    }
    let mut merged = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    merged.update_all(&updates).expect("passes");
    assert_eq!(merged.module().weights(), live.module().weights());
    assert_eq!((live.passes(), merged.passes()), (300, 4));
}

/// Without grids, updates made together are those made one after the other, with or without decay.
fn plain_updates_can_be_made_together<B: NoiseBackend>() {
    let mut updates = updates(20);
    updates[7].decay = 0.1;
    let mut single = perturbed::<B>(DType::F32, 1e-3);
    for update in &updates {
        single.update(update).expect("a pass");
    }
    let mut together = perturbed::<B>(DType::F32, 1e-3);
    together.update_all(&updates).expect("passes");
    assert_eq!(together.module().weights(), single.module().weights());
}

/// A pass writes where the weights are; a live clone would force a copy.
fn stays_in_place<B: NoiseBackend>(pointer: impl Fn(&Net<B>) -> *const u8) {
    let mut model = perturbed::<B>(DType::F32, 1e-3);
    model.move_to(&z(1)).expect("a pass");
    let before = pointer(model.module());
    for k in 2..6 {
        model.move_to(&z(k)).expect("a pass");
    }
    model.update(&decayed(z(9), 1e-3, 0.1, 0)).expect("a pass");
    assert_eq!(pointer(model.module()), before);
}

fn refuses_nan_and_keeps_the_weights<B: NoiseBackend>() {
    let mut model = perturbed::<B>(DType::F32, 1e-3);
    let start = model.module().weights();
    for bad in [f64::NAN, f64::INFINITY, 1e300] {
        let error = model.update(&AppliedUpdate::new(z(1) * bad, 1.0));
        let error = error.expect_err("refused");
        assert!(matches!(error, PerturbError::NonFinite(_)), "{error}");
        assert!(model.move_to(&(z(1) * (bad * 1e10))).is_err());
    }
    assert_eq!(model.module().weights(), start);
    assert_eq!(model.passes(), 0);
}

macro_rules! on_every_backend {
    ($($name:ident: $backend:ty, $pointer:expr;)*) => {$(
        mod $name {
            use super::*;
            type B = $backend;
            #[test]
            fn walks_to_the_definition() { super::walks_to_the_definition::<B>(); }
            #[test]
            fn restores() { super::restores::<B>(); }
            #[test]
            fn a_hop_is_restore_and_probe() { super::a_hop_is_restore_and_probe::<B>(); }
            #[test]
            fn updates_with_decay() { super::updates_with_decay::<B>(); }
            #[test]
            fn exact_steps_forget_the_path() { super::exact_steps_forget_the_path::<B>(); }
            #[test]
            fn exact_updates_can_be_merged() { super::exact_updates_can_be_merged::<B>(); }
            #[test]
            fn plain_updates_can_be_made_together() { super::plain_updates_can_be_made_together::<B>(); }
            #[test]
            fn exact_decay_adds_up() { super::exact_decay_adds_up::<B>(); }
            #[test]
            fn decay_towards_the_start() { super::decay_towards_the_start::<B>(); }
            #[test]
            fn stays_in_place() { super::stays_in_place::<B>($pointer); }
            #[test]
            fn refuses_nan_and_keeps_the_weights() { super::refuses_nan_and_keeps_the_weights::<B>(); }
        }
    )*};
}

#[cfg(feature = "ndarray")]
fn ndarray_pointer(net: &Net<burn_ndarray::NdArray<f32>>) -> *const u8 {
    match net.embed.val().into_primitive().tensor() {
        burn_ndarray::NdArrayTensor::F32(storage) => storage.view().as_ptr().cast(),
        other => unreachable!("{other:?}"),
    }
}

#[cfg(feature = "flex")]
fn flex_pointer(net: &Net<burn_flex::Flex>) -> *const u8 {
    net.embed.val().into_primitive().tensor().bytes().as_ptr()
}

#[cfg(feature = "ndarray")]
on_every_backend! { ndarray: burn_ndarray::NdArray<f32>, ndarray_pointer; }
#[cfg(feature = "flex")]
on_every_backend! { flex: burn_flex::Flex, flex_pointer; }

#[cfg(all(feature = "ndarray", feature = "flex"))]
#[test]
fn backends_agree_to_the_bit() {
    let d = z(11) * 0.25 + z(12) * 3.0;
    let mut a = perturbed::<burn_ndarray::NdArray<f32>>(DType::F32, 1e-2);
    let mut b = perturbed::<burn_flex::Flex>(DType::F32, 1e-2);
    a.move_to(&d).expect("a pass");
    b.move_to(&d).expect("a pass");
    assert_eq!(a.module().weights(), b.module().weights());
    a.update(&decayed(z(13), 0.1, 0.1, 0)).expect("a pass");
    b.update(&decayed(z(13), 0.1, 0.1, 0)).expect("a pass");
    assert_eq!(a.module().weights(), b.module().weights());
}

/// f16 weights: 2^-11 of a value below 1 for each of the two passes.
#[cfg(feature = "flex")]
#[test]
fn half_precision_weights_move_too() {
    for (dtype, unit) in [(DType::F16, 1.0 / 2048.0), (DType::BF16, 1.0 / 256.0)] {
        let mut model = perturbed::<burn_flex::Flex>(dtype, 1e-2);
        let start = model.module().weights();
        model.move_to(&z(1)).expect("a pass");
        let moved = max_difference(&model.module().weights(), &start);
        assert!(moved > 0.03, "{moved}");
        model.move_to(&Direction::zero()).expect("a pass");
        let drift = max_difference(&model.module().weights(), &start);
        assert!(drift <= 2.0 * unit, "{dtype:?}: {drift}");
    }
}

#[cfg(feature = "ndarray")]
#[test]
fn only_selected_parameters_move() {
    let net = Net::<burn_ndarray::NdArray<f32>>::new(DType::F32);
    let start = net.weights();
    let some = Selection::Matching(vec!["*bias".into(), "final_*".into()]);
    let space = ParameterSpace::select(&net, &some).expect("two parameters");
    assert_eq!(
        space.names().collect::<Vec<_>>(),
        ["bias", "final_layer_norm"]
    );
    assert_eq!(space.dimension(), 2 * WIDTH as u64);
    let mut model = Perturbed::new(net, space, NoiseKind::Rademacher, 1.0).expect("its own space");
    model.move_to(&z(1)).expect("a pass");
    let moved = model.module().weights();
    assert_eq!(moved[0], start[0]);
    for t in [1, 2] {
        for (a, b) in moved[t].iter().zip(&start[t]) {
            assert!(((a - b).abs() - 1.0).abs() < 1e-6);
        }
    }
    // a part of the space moves exactly as it does within the whole
    let net = Net::<burn_ndarray::NdArray<f32>>::new(DType::F32);
    let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
    let mut whole = Perturbed::new(net, space, NoiseKind::Rademacher, 1.0).expect("its own space");
    whole.move_to(&z(1)).expect("a pass");
    assert_ne!(whole.module().weights()[0], start[0]);
    assert_eq!(whole.module().weights()[1..], moved[1..]);
}

#[cfg(feature = "ndarray")]
#[test]
fn selecting_nothing_is_an_error_that_names_what_there_is() {
    let net = Net::<burn_ndarray::NdArray<f32>>::new(DType::F32);
    let error =
        ParameterSpace::select(&net, &Selection::matching(["*.lora.*"])).expect_err("no adapters");
    let text = error.to_string();
    assert!(
        text.contains("*.lora.*") && text.contains("final_layer_norm"),
        "{text}"
    );
}

/// The decay of one step at usual learning rates is below the spacing of f32 numbers near 1; over many steps with
/// noise it must add up all the same. 55,500 weights near 0.5 with steps of 1e-4: after 400 steps of 1e-7 each the mean
/// has shrunk by 4e-5 of itself; its standard error is sqrt(400) * 1e-4 / sqrt(55,500) = 8.5e-6.
#[cfg(feature = "ndarray")]
#[test]
fn decay_below_the_spacing_of_numbers_adds_up() {
    let mean = |w: &[f32]| w.iter().map(|w| f64::from(*w)).sum::<f64>() / w.len() as f64;
    let run = |decay| {
        let mut model = perturbed::<burn_ndarray::NdArray<f32>>(DType::F32, 1e-3);
        let theta = model.module().embed.val() * 0.0 + 0.5;
        let mut net = model.into_module().expect("at theta");
        net.embed = Param::from_tensor(theta);
        let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
        model = Perturbed::new(net, space, NoiseKind::Gaussian, 1e-3).expect("its own space");
        for k in 0..400 {
            model
                .update(&decayed(z(k), 1e-4, decay, k))
                .expect("a pass");
        }
        mean(&model.module().weights()[0])
    };
    // the same noise with and without decay: what remains is the decay and the rounding
    let shrunk = run(0.0) - run(1e-3);
    assert!((shrunk - 0.5 * 4e-5).abs() < 0.05 * 0.5 * 4e-5, "{shrunk}");
}

#[cfg(feature = "ndarray")]
#[test]
fn a_parameter_at_two_places_is_refused() {
    let mut net = Net::<burn_ndarray::NdArray<f32>>::new(DType::F32);
    net.final_layer_norm = net.bias.clone();
    let error = ParameterSpace::select(&net, &Selection::All).expect_err("refused");
    assert!(
        matches!(error, ParameterError::SharedParameter { .. }),
        "{error}"
    );
}

#[cfg(feature = "ndarray")]
#[test]
fn the_space_of_another_module_is_refused() {
    #[derive(Module, Debug)]
    struct Other<B: Backend> {
        elsewhere: Param<Tensor<B, 1>>,
    }
    let other = Other::<burn_ndarray::NdArray<f32>> {
        elsewhere: Param::from_tensor(Tensor::zeros([3], &Default::default())),
    };
    let space = ParameterSpace::select(&other, &Selection::All).expect("a parameter");
    let net = Net::<burn_ndarray::NdArray<f32>>::new(DType::F32);
    let error = Perturbed::new(net, space, NoiseKind::Gaussian, 1e-3)
        .err()
        .expect("refused");
    assert_eq!(error, PerturbError::ForeignSpace("elsewhere".into()));
}

/// With decay too, a step is a function of the weights before it: live with probes, or by itself.
#[cfg(feature = "ndarray")]
#[test]
fn exact_decay_does_not_depend_on_probes() {
    type B = burn_ndarray::NdArray<f32>;
    let mut live = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    let mut alone = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    let start = live.module().weights();
    for k in 0..20 {
        live.move_to(&z(k)).expect("a pass");
        live.move_to(&-z(k)).expect("a pass");
        live.update(&decayed(z(k), 1e-3, 0.1, k)).expect("a pass");
        alone.update(&decayed(z(k), 1e-3, 0.1, k)).expect("a pass");
    }
    assert_eq!(live.module().weights(), alone.module().weights());
    // 20 * 1e-4 of weights up to 0.75, and noise of 20 steps
    let moved = max_difference(&live.module().weights(), &start);
    assert!((1e-3..0.1).contains(&moved), "{moved}");
}

/// On a grid the decay of a step at usual learning rates is far below the spacing of the numbers. It must act on every
/// weight all the same: within 10 percent of what theory says, or two spacings of 2^-23 for the smallest weights.
fn exact_decay_adds_up<B: NoiseBackend>() {
    const STEPS: u64 = 6000;
    const LAMBDA: f64 = 0.1;
    for lr in [1e-6, 1e-7] {
        let mut model = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
        let start = model.module().weights();
        for step in 0..STEPS {
            let update = decayed(Direction::zero(), lr, LAMBDA, step);
            model.update(&update).expect("a pass");
        }
        let end = model.module().weights();
        let mut far = 0;
        for (w, end) in start[0].iter().zip(&end[0]) {
            let theory = f64::from(*w) * lr * LAMBDA * STEPS as f64;
            let shrunk = f64::from(*w) - f64::from(*end);
            let allowed = (0.1 * theory.abs()).max(2.0 / 8_388_608.0);
            assert!(
                (shrunk - theory).abs() <= allowed,
                "{w}: {shrunk} for {theory}"
            );
            far += usize::from(0.1 * theory.abs() > 2.0 / 8_388_608.0);
        }
        // most of the weights are large enough for the 10 percent
        assert!(2 * far > start[0].len(), "{far}");
        assert_eq!(start[1..], end[1..]);
    }
}

/// The same model, whose weights decay towards where they are.
fn anchored_decay<B: NoiseBackend>(
    model: Perturbed<B, Net<B>>,
    grids: Option<&Grids>,
) -> Perturbed<B, Net<B>> {
    let dir = tempfile::tempdir().expect("a folder");
    let start = StartWeights::keep(model.module(), model.space(), grids, dir.path());
    model.decaying_toward(start.expect("a file"))
}

/// Weights led astray come nearer to their start with every step, and are there when the whole distance is taken off:
/// to the bit on a grid, else within a spacing of numbers up to 1. What does not decay stays where it was led.
fn decay_towards_the_start<B: NoiseBackend>() {
    for exact in [false, true] {
        let mut model = match exact {
            true => {
                let net = Net::<B>::new(DType::F32);
                let space = space_of(&net);
                let grids = Grids::of(&net, &space, 1e-3, 0.0).expect("f32");
                anchored_decay(on_grids::<B>(NoiseKind::Gaussian, 1e-3), Some(&grids))
            }
            false => anchored_decay(perturbed::<B>(DType::F32, 1e-3), None),
        };
        let start = model.module().weights();
        let away = AppliedUpdate::new(z(1), 1e-3);
        model.update(&away).expect("a pass");
        let astray = model.module().weights();
        let mut before = astray[0].clone();
        for step in 1..20 {
            if exact {
                // a probe, which is no part of the distance
                model.move_to(&z(100 + step)).expect("a pass");
            }
            let update = decayed(Direction::zero(), 0.5, 0.1, step);
            model.update(&update).expect("a pass");
            let now = model.module().weights();
            assert_eq!(now[1..], astray[1..]);
            for ((now, before), start) in now[0].iter().zip(&before).zip(&start[0]) {
                assert!((now - start).abs() <= (before - start).abs());
            }
            before.clone_from(&now[0]);
        }
        // 0.95^19 of the way is left: in the mean over all weights, which a spacing does not show in
        let distance = |weights: &[f32]| -> f64 {
            let pairs = weights.iter().zip(&start[0]);
            pairs.map(|(w, s)| f64::from((w - s).abs())).sum()
        };
        let left = distance(&before) / distance(&astray[0]);
        assert!((left - 0.95f64.powi(19)).abs() < 1e-3, "{left}");

        let back = decayed(Direction::zero(), 1.0, 1.0, 20);
        model.update(&back).expect("a pass");
        let off = max_difference(&model.module().weights()[..1], &start[..1]);
        let allowed = if exact { 0.0 } else { f32::EPSILON / 2.0 };
        assert!(off <= allowed, "{off}");
    }
}

/// Updates that decay towards the start, made together or with probes in between, are the same bits; and so are the f32
/// originals of 16-bit weights.
#[cfg(all(feature = "ndarray", feature = "flex"))]
#[test]
fn decay_towards_the_start_does_not_depend_on_the_way() {
    type B = burn_ndarray::NdArray<f32>;
    let updates: Vec<_> = updates(40)
        .into_iter()
        .zip(0..)
        .map(|(update, step)| update.with_decay(if step % 3 == 0 { 30.0 } else { 0.0 }, step))
        .collect();
    let net = Net::<B>::new(DType::F32);
    let grids = Grids::of(&net, &space_of(&net), 1e-3, 0.0).expect("f32");
    let exact = || anchored_decay(on_grids::<B>(NoiseKind::Gaussian, 1e-3), Some(&grids));
    let (mut live, mut together) = (exact(), exact());
    for update in &updates {
        live.move_to(&update.direction).expect("a pass");
        live.update(update).expect("a pass");
    }
    together.update_all(&updates).expect("passes");
    let ends = live.module().weights();
    assert_eq!(together.module().weights(), ends);
    let mut free = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    free.update_all(&updates).expect("passes");
    assert_ne!(free.module().weights()[0], ends[0]);

    let dir = tempfile::tempdir().expect("a folder");
    let (narrow, wide) = (DType::F16, f16_start());
    let model = perturbed::<burn_flex::Flex>(narrow, 1e-3);
    let space = model.space().clone();
    let grids = Grids::of(model.module(), &space, 1e-3, 0.0).expect("finite");
    let kind = NoiseKind::Gaussian;
    let path = dir.path().join("originals");
    let originals = Originals::create(path, model.module(), space, kind, grids.clone());
    let mut model = anchored_decay(model, Some(&grids)).anchored(originals.expect("a file"));
    let space = space_of(&wide);
    let wide = Perturbed::on_grids(wide, space, kind, 1e-3, grids.clone()).expect("f32");
    let mut wide = anchored_decay(wide, Some(&grids));
    for update in &updates {
        model.update(update).expect("a pass");
        wide.update(update).expect("a pass");
    }
    model.reanchor().expect("a file");
    let rounded = |w: &f32| half::f16::from_f32(*w).to_f32();
    let rounded: Vec<Vec<f32>> = wide
        .module()
        .weights()
        .iter()
        .map(|w| w.iter().map(rounded).collect())
        .collect();
    assert_eq!(model.module().weights(), rounded);
}

/// The weights of [`Net::new`] in f16, as f32 numbers.
#[cfg(all(feature = "ndarray", feature = "flex"))]
fn f16_start() -> Net<burn_ndarray::NdArray<f32>> {
    let narrow = Net::<burn_flex::Flex>::new(DType::F16).weights();
    let mut wide = Net::new(DType::F32);
    let device = Default::default();
    let vector = |w: &Vec<f32>| TensorData::new(w.clone(), [w.len()]);
    let matrix = TensorData::new(narrow[0].clone(), [ROWS, WIDTH]);
    wide.embed = Param::from_tensor(Tensor::from_data(matrix, &device));
    wide.bias = Param::from_tensor(Tensor::from_data(vector(&narrow[1]), &device));
    wide.final_layer_norm = Param::from_tensor(Tensor::from_data(vector(&narrow[2]), &device));
    wide
}

/// What the drift is measured from is where the decay leads.
#[cfg(feature = "ndarray")]
#[test]
fn decay_towards_the_start_is_no_drift() {
    type B = burn_ndarray::NdArray<f32>;
    let mut model = anchored_decay(perturbed::<B>(DType::F32, 1e-3), None);
    model
        .update(&AppliedUpdate::new(z(1), 1e-2))
        .expect("a pass");
    let before = model.excerpt();
    let update = decayed(z(2), 1e-2, 20.0, 1);
    model.update(&update).expect("a pass");
    let drift = model.drift_since(&before, &update).expect("read");
    assert!(drift <= f64::from(ONE_PASS), "{drift}");
}

/// Decayed updates made together are those made one after the other, in the same bits.
#[cfg(feature = "ndarray")]
#[test]
fn decayed_updates_on_grids_can_be_made_together() {
    type B = burn_ndarray::NdArray<f32>;
    let updates: Vec<_> = updates(40)
        .into_iter()
        .zip(0..)
        .map(|(update, step)| update.with_decay(0.01, step))
        .collect();
    let mut live = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    for update in &updates {
        live.move_to(&update.direction).expect("a pass");
        live.update(update).expect("a pass");
    }
    let mut together = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    together.update_all(&updates).expect("passes");
    assert_eq!(together.module().weights(), live.module().weights());
}

#[cfg(feature = "ndarray")]
#[test]
fn exact_steps_refuse_what_would_round() {
    type B = burn_ndarray::NdArray<f32>;
    let mut model = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    let start = model.module().weights();
    let error = model.update(&AppliedUpdate::new(z(1), 1.0));
    let error = error.expect_err("too far");
    assert!(matches!(error, PerturbError::TooFar { .. }), "{error}");
    assert_eq!(model.module().weights(), start);
    // walking out of the range step by step is found, at the first step that is not on it any more
    let update = AppliedUpdate::new(z(1), 0.02);
    let made = (0..200).find(|_| model.check_range().is_err() || model.update(&update).is_err());
    let largest = |model: &Perturbed<B, Net<B>>| {
        let weights = model.module().weights();
        weights
            .into_iter()
            .flatten()
            .map(f32::abs)
            .fold(0.0, f32::max)
    };
    // 2 on a grid of 2^-23, less the longest hop
    assert!(made.is_some() && largest(&model) > 1.5, "{made:?}");
    let error = model.update(&update).expect_err("outgrown");
    assert!(matches!(error, PerturbError::OffGrid { .. }), "{error}");
    assert!(model.move_to(&z(1)).is_err());
    let mut together = on_grids::<B>(NoiseKind::Gaussian, 1e-3);
    let error = together
        .update_all(&vec![update; 200])
        .expect_err("outgrown");
    assert!(matches!(error, PerturbError::OffGrid { .. }), "{error}");
}

/// Weights inside the range whose probes are not lose bits, so they are refused.
#[cfg(feature = "ndarray")]
#[test]
fn exact_steps_leave_room_for_probes() {
    type B = burn_ndarray::NdArray<f32>;
    let grids = |net: &Net<B>, space: &ParameterSpace| Grids::of(net, space, 1e-3, 0.0);
    for (weight, fits) in [(1.45, true), (1.99, false)] {
        let net = Net::<B>::new(DType::F32);
        let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
        // of weights up to 0.75: the range is 2
        let grids = grids(&net, &space).expect("f32");
        let mut grown = net;
        grown.embed = grown.embed.map(|w| w * 0.0 + weight);
        let model = Perturbed::on_grids(grown, space, NoiseKind::Gaussian, 1e-3, grids);
        let mut model = model.expect("its own space");
        assert_eq!(model.check_range().is_ok(), fits, "{weight}");
        assert_eq!(model.move_to(&z(1)).is_ok(), fits, "{weight}");
    }
}

/// Originals that outgrow their grids keep their file as it was.
#[cfg(feature = "flex")]
#[test]
fn originals_that_outgrow_their_grids_are_refused() {
    type B = burn_flex::Flex;
    let dir = tempfile::tempdir().expect("a folder");
    let mut model = small::<B>(DType::F16);
    let (net, space) = (model.module(), model.space().clone());
    let grids = Grids::of(net, &space, 1e-2, 0.0).expect("finite");
    let path = dir.path().join("originals");
    let originals = Originals::create(path.clone(), net, space, NoiseKind::Gaussian, grids);
    model = model.anchored(originals.expect("a file"));
    let before = std::fs::read(&path).expect("a file");
    for _ in 0..100 {
        let update = AppliedUpdate::new(z(1), 0.02);
        model.update(&update).expect("a pass");
    }
    let error = model.reanchor().expect_err("outgrown");
    assert!(matches!(error, PerturbError::OffGrid { .. }), "{error}");
    assert_eq!(std::fs::read(&path).expect("a file"), before);
}

#[cfg(feature = "flex")]
#[test]
fn exact_steps_need_f32() {
    let net = Net::<burn_flex::Flex>::new(DType::F16);
    let space = ParameterSpace::select(&net, &Selection::All).expect("parameters");
    let grids = Grids::of(&net, &space, 1e-3, 0.0).expect("finite");
    let error = Perturbed::on_grids(net, space, NoiseKind::Gaussian, 1e-3, grids).err();
    let error = error.expect("refused").to_string();
    assert!(error.contains("need f32"), "{error}");
}

/// 10,000 probe cycles on 16-bit weights below 0.75, whose neighbours are 2^-11 (f16) and 2^-8 (bf16) apart at most.
/// Left alone, the rounding of two passes a cycle adds up; brought back every hundred cycles it stays within what
/// a hundred leave, and the weights after it are the rounded originals: those of the start.
#[cfg(feature = "flex")]
#[test]
fn originals_bound_the_drift_of_ten_thousand_probe_cycles() {
    type B = burn_flex::Flex;
    const CYCLES: u64 = 10_000;
    const EVERY: u64 = 100;
    let dir = tempfile::tempdir().expect("a folder");
    for (dtype, unit) in [(DType::F16, 1.0 / 2048.0), (DType::BF16, 1.0 / 256.0)] {
        let run = |anchored: bool| {
            let mut model = small::<B>(dtype);
            if anchored {
                let (net, space) = (model.module(), model.space().clone());
                let grids = Grids::of(net, &space, 1e-2, 0.0).expect("finite");
                let path = dir.path().join(format!("{dtype:?}.f32"));
                let kind = NoiseKind::Gaussian;
                let originals = Originals::create(path, net, space, kind, grids);
                model = model.anchored(originals.expect("a file"));
            }
            let start = model.module().weights();
            let mut worst = 0f64;
            for k in 1..=CYCLES {
                model.move_to(&z(k)).expect("a pass");
                model.move_to(&Direction::zero()).expect("a pass");
                if anchored && k % EVERY == 0 {
                    worst = worst.max(model.reanchor().expect("a file").expect("originals"));
                    assert_eq!(model.module().weights(), start);
                }
            }
            (max_difference(&model.module().weights(), &start), worst)
        };
        let (free, _) = run(false);
        let (held, worst) = run(true);
        assert_eq!(held, 0.0);
        // a random walk of 200 roundings of half a unit at most: its standard deviation is 4 units
        assert!((unit..30.0 * unit).contains(&worst), "{dtype:?}: {worst}");
        // one of 20,000 roundings goes further, and ends where no probe reaches numbers that are further apart, since only
        // these round: the largest noise is 62 units of f16 and 8 of bf16
        let times = if dtype == DType::F16 { 4.0 } else { 1.0 };
        assert!(
            f64::from(free) > times * worst,
            "{dtype:?}: {free} and {worst}"
        );
    }
}

/// Updates that are made together reach the originals as well: going back to these does not undo them.
#[cfg(feature = "flex")]
#[test]
fn the_originals_learn_of_updates_that_are_made_together() {
    type B = burn_flex::Flex;
    let dir = tempfile::tempdir().expect("a folder");
    let updates = updates(30);
    let run = |name: &str, together: bool| {
        let mut model = perturbed::<B>(DType::F16, 1e-3);
        let (net, space) = (model.module(), model.space().clone());
        let grids = Grids::of(net, &space, 1e-3, 0.0).expect("finite");
        let path = dir.path().join(name);
        let originals = Originals::create(path, net, space, NoiseKind::Gaussian, grids);
        model = model.anchored(originals.expect("a file"));
        let start = model.module().weights();
        if together {
            model.update_all(&updates).expect("passes");
        } else {
            for update in &updates {
                model.update(update).expect("a pass");
            }
        }
        model.reanchor().expect("a file");
        assert_ne!(model.module().weights(), start);
        model.module().weights()
    };
    assert_eq!(run("together", true), run("one by one", false));
}

/// The 16-bit weights after an anchored run are the rounded weights of the exact run in f32.
#[cfg(all(feature = "ndarray", feature = "flex"))]
#[test]
fn anchored_weights_are_those_of_the_exact_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut model = perturbed::<burn_flex::Flex>(DType::BF16, 1e-3);
    let (net, space) = (model.module(), model.space().clone());
    let grids = Grids::of(net, &space, 1e-3, 0.0).expect("finite");
    let path = dir.path().join("originals.f32");
    let originals = Originals::create(
        path.clone(),
        net,
        space.clone(),
        NoiseKind::Gaussian,
        grids.clone(),
    );
    // the same start weights in f32
    let mut wide = Net::<burn_ndarray::NdArray<f32>>::new(DType::F32);
    let [embed, bias, norm] = &net.weights()[..] else {
        panic!("three tensors");
    };
    let vector = |w: &Vec<f32>| TensorData::new(w.clone(), [w.len()]);
    let device = Default::default();
    let matrix = TensorData::new(embed.clone(), [ROWS, WIDTH]);
    wide.embed = Param::from_tensor(Tensor::from_data(matrix, &device));
    wide.bias = Param::from_tensor(Tensor::from_data(vector(bias), &device));
    wide.final_layer_norm = Param::from_tensor(Tensor::from_data(vector(norm), &device));
    let wide_space = space_of(&wide);
    let mut wide =
        Perturbed::on_grids(wide, wide_space, NoiseKind::Gaussian, 1e-3, grids).expect("f32");

    model = model.anchored(originals.expect("a file"));
    for (k, update) in updates(250).into_iter().enumerate() {
        let decay = if k % 50 == 7 { 0.1 } else { 0.0 };
        let update = update.with_decay(decay, k as u64);
        model.move_to(&update.direction).expect("a pass");
        model.update(&update).expect("a pass");
        wide.update(&update).expect("a pass");
        if k % 100 == 99 {
            model.reanchor().expect("a file");
        }
    }
    let drift = model.reanchor().expect("a file").expect("originals");
    assert!(drift > 0.0, "{drift}");
    let rounded = |w: Vec<Vec<f32>>| -> Vec<Vec<f32>> {
        let bf16 = |w: f32| half::bf16::from_f32(w).to_f32();
        w.into_iter()
            .map(|t| t.into_iter().map(bf16).collect())
            .collect()
    };
    assert_eq!(model.module().weights(), rounded(wide.module().weights()));
}
