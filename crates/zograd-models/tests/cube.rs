//! The kernels for GPUs against the CPU's: through wgpu where that is compiled in, on any machine with OpenGL (Mesa's
//! software renderer will do), otherwise on the first NVIDIA GPU.

#![cfg(all(feature = "ndarray", any(feature = "wgpu", feature = "cuda")))]

use burn::tensor::{Distribution, Tensor, TensorData};
use burn_ndarray::NdArray;
use zograd_models::{
    AttentionLayout, Heads, Model, ModelBackend, ModelConfig, Plan, Sequence, Sharing,
};

type Cpu = NdArray<f32>;
#[cfg(feature = "wgpu")]
type Gpu = burn_wgpu::Wgpu;
#[cfg(not(feature = "wgpu"))]
type Gpu = burn_cuda::Cuda;

/// Sums of up to 1,040 products in f32, relative to the norm of the result: 1e-6 was seen. TF32 would be near 3e-4.
const TOLERANCE: f64 = 5e-6;

/// The device, the same for all tests of the process.
fn gpu() -> <Gpu as burn::tensor::backend::BackendTypes>::Device {
    let gpu = Default::default();
    #[cfg(feature = "wgpu")]
    {
        static SET_UP: std::sync::Once = std::sync::Once::new();
        SET_UP.call_once(|| {
            burn_wgpu::init_setup::<burn_wgpu::graphics::OpenGl>(&gpu, Default::default());
        });
    }
    gpu
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<Cpu, D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
}

fn sent<const D: usize>(tensor: &Tensor<Cpu, D>) -> Tensor<Gpu, D> {
    Tensor::from_data(tensor.to_data(), &gpu())
}

/// `|found - expected| / |expected|`.
fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>();
    let off = square(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    (off / square(&mut expected.iter().copied())).sqrt()
}

fn host(data: TensorData) -> Vec<f64> {
    data.iter().collect()
}

/// `x W^T + b` in f64.
fn exact(x: &Tensor<Cpu, 2>, w: &Tensor<Cpu, 2>, bias: Option<&Tensor<Cpu, 1>>) -> Vec<f64> {
    let ([rows, terms], [columns, _]) = (x.dims(), w.dims());
    let (x, w) = (host(x.to_data()), host(w.to_data()));
    let bias = bias.map_or(vec![0.0; columns], |bias| host(bias.to_data()));
    let cell = |index: usize| {
        let (row, column) = (index / columns, index % columns);
        let (a, b) = (&x[row * terms..][..terms], &w[column * terms..][..terms]);
        bias[column] + a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()
    };
    (0..rows * columns).map(cell).collect()
}

/// Whole and broken tiles, terms in one part and in several, terms that are no whole vectors.
#[test]
fn linear_layers() {
    for rows in [1, 2, 5, 38, 130] {
        for [columns, terms] in [
            [64, 64],
            [512, 32],
            [65, 36],
            [3, 1040],
            [200, 520],
            [33, 30],
        ] {
            let (x, w, bias) = (
                random([rows, terms]),
                random([columns, terms]),
                random([columns]),
            );
            for bias in [None, Some(&bias)] {
                let found = Gpu::packed_linear(sent(&x), sent(&w), bias.map(sent));
                let error = distance(&host(found.into_data()), &exact(&x, &w, bias));
                assert!(
                    error < TOLERANCE,
                    "{rows} x {columns} x {terms}, bias {}: {error:.1e}",
                    bias.is_some()
                );
            }
        }
    }
}

/// The larger tiles: more of them than are kept busy by the smaller ones.
#[test]
fn large_products() {
    let (x, w) = (random([1030, 36]), random([2100, 36]));
    let found = Gpu::packed_linear(sent(&x), sent(&w), None);
    let error = distance(&host(found.into_data()), &exact(&x, &w, None));
    assert!(error < TOLERANCE, "{error:.1e}");
}

#[test]
fn feed_forward_layers() {
    let (x, w1, w2) = (random([7, 24]), random([50, 24]), random([24, 50]));
    let (b1, b2) = (random([50]), random([24]));
    for biased in [true, false] {
        let of = |bias: &Tensor<Cpu, 1>| biased.then(|| bias.clone());
        let expected =
            Cpu::packed_feed_forward(x.clone(), (w1.clone(), of(&b1)), (w2.clone(), of(&b2)));
        let of = |bias: &Tensor<Cpu, 1>| biased.then(|| sent(bias));
        let found = Gpu::packed_feed_forward(sent(&x), (sent(&w1), of(&b1)), (sent(&w2), of(&b2)));
        let error = distance(&host(found.into_data()), &host(expected.into_data()));
        assert!(error < TOLERANCE, "{error:.1e}");
    }
}

/// Lone sequences, options that branch from a prompt, rows longer than a tile of queries or of keys; heads of several
/// widths, of which the third is one that the kernel takes with zeros behind it; heads that share keys, and a window; with keys of a prefix and
/// without.
#[test]
fn attention() {
    let long: Vec<u32> = (0..75).collect();
    let prompts: [&[u32]; 4] = [&[1, 2, 3, 4, 5], &[7, 8], &long, &[9]];
    let tails: [&[u32]; 3] = [&[20], &[21, 22, 23], &[24, 25]];
    let options = prompts.map(|prompt| tails.map(|tail| [prompt, tail].concat()));
    let groups: Vec<Vec<Sequence<'_>>> = options
        .iter()
        .map(|options| {
            let scored = tails.iter().map(|tail| tail.len());
            let options = options.iter().zip(scored);
            options
                .map(|(ids, scored)| Sequence { ids, scored })
                .collect()
        })
        .collect();
    for sharing in [Sharing::Prefix, Sharing::None] {
        let plan = Plan::new(&groups, sharing).expect("a valid plan");
        let tokens = plan.stats().tokens;
        // (a software renderer compiles each for some seconds)
        let widest = if cfg!(feature = "wgpu") {
            [1, 64]
        } else {
            [1, 128]
        };
        let shared = Heads {
            key_value: 2,
            window: Some(4),
            scale: 0.3,
            ..Heads::plain(6, 8)
        };
        let plain = [[2, 8], widest, [3, 20]].map(|[heads, width]| Heads::plain(heads, width));
        for heads in plain.into_iter().chain([shared]) {
            let hidden = heads.key_value * heads.width;
            let q = random([tokens, heads.query * heads.width]);
            let [k, v] = [(); 2].map(|()| random([tokens, hidden]));
            let on_cpu = AttentionLayout::<Cpu>::of(&plan, heads);
            let on_gpu = AttentionLayout::<Gpu>::of(&plan, heads);
            for prefix in [0, 40] {
                let before = [(); 2].map(|()| random([prefix, hidden]));
                let before = (prefix > 0).then_some(before);
                let there = before
                    .as_ref()
                    .map(|[keys, values]| [sent(keys), sent(values)]);
                let expected =
                    Cpu::packed_attention(before, q.clone(), k.clone(), v.clone(), &on_cpu);
                let found = Gpu::packed_attention(there, sent(&q), sent(&k), sent(&v), &on_gpu);
                let error = distance(&host(found.into_data()), &host(expected.into_data()));
                assert!(
                    error < TOLERANCE,
                    "{sharing:?}, {heads:?}, prefix {prefix}: {error:.1e}"
                );
            }
        }
    }
}

/// A model that has broken down shows it. (Through wgpu nothing is promised of what is not a number.)
#[cfg(not(feature = "wgpu"))]
#[test]
fn what_is_not_a_number_stays_so() {
    let x = Tensor::<Cpu, 2>::from_data([[f32::NAN, 1.0, 1.0, 1.0]], &Default::default());
    let w = Tensor::<Cpu, 2>::ones([8, 4], &Default::default());
    let found = Gpu::packed_feed_forward(
        sent(&x),
        (sent(&w), None),
        (Tensor::ones([4, 8], &gpu()), None),
    );
    assert!(host(found.into_data()).iter().all(|y| y.is_nan()));

    let plan = Plan::new(
        &[vec![Sequence {
            ids: &[1, 2, 3],
            scored: 1,
        }]],
        Sharing::None,
    );
    let plan = plan.expect("a valid plan");
    let tokens = plan.stats().tokens;
    let layout = AttentionLayout::<Gpu>::of(&plan, Heads::plain(1, 8));
    let ones = || Tensor::<Gpu, 2>::ones([tokens, 8], &gpu());
    let broken = ones().mul_scalar(f32::NAN);
    let found = Gpu::packed_attention(None, broken, ones(), ones(), &layout);
    assert!(host(found.into_data()).iter().all(|y| y.is_nan()));
}

/// Weights of 16 bits, which not every device has: in f32 from there on, rounded once at the end.
#[cfg(not(feature = "wgpu"))]
#[test]
fn sixteen_bits() {
    use burn::tensor::DType;
    for (dtype, tolerance) in [(DType::F16, 1e-3), (DType::BF16, 8e-3)] {
        for [rows, columns, terms] in [[5, 512, 32], [38, 512, 32], [130, 100, 36], [232, 768, 768]]
        {
            // as they are after rounding
            let rounded = |shape| sent(&random(shape)).cast(dtype);
            let (x, w) = (rounded([rows, terms]), rounded([columns, terms]));
            let back = |tensor: &Tensor<Gpu, 2>| {
                Tensor::<Cpu, 2>::from_data(
                    tensor.clone().cast(DType::F32).into_data(),
                    &Default::default(),
                )
            };
            let expected = exact(&back(&x), &back(&w), None);
            let found = Gpu::packed_linear(x, w, None).cast(DType::F32);
            let error = distance(&host(found.into_data()), &expected);
            assert!(
                error < tolerance,
                "{dtype:?} {rows} x {columns} x {terms}: {error:.1e}"
            );
        }
    }
}

/// CUDA refuses to start a kernel for nothing, and says so where something is read the next time.
#[test]
fn no_rows_are_read_of_no_tokens() {
    let config = ModelConfig::from_json(
        r#"{"vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "ffn_dim": 16, "max_position_embeddings": 64}"#,
    )
    .expect("a config");
    let model = Model::<Gpu>::init(&config, &gpu());
    assert!(model.head_rows(&[]).is_empty());
    assert_eq!(model.head_rows(&[3, 5]).len(), 2);
}
