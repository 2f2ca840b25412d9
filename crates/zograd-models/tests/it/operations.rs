//! The operations of Llama and its kin: every backend computes their formulas, and the plain ones can be differentiated.

use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Distribution, Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use zograd_models::{
    AttentionLayout, Frequencies, Gate, Heads, Llama3, ModelBackend, Plan, Rotation, Sequence,
    Sharing,
};

use crate::seeded;

fn random<B: Backend, const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    let _generator = seeded::generator();
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &B::Device::default())
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

/// What is found is f32, of numbers near 1 and of sums of a few hundred products of such: the rounding of the longest sums is
/// near 1e-5, and the slopes of what follows are below 10.
fn assert_close(found: &[f64], expected: &[f64], case: &str) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        let error = (a - b).abs() / b.abs().max(1.0);
        assert!(error < 2e-5, "{case}, element {index}: {a} against {b}");
    }
}

fn rms_norm<B: ModelBackend>() {
    for [rows, width] in [[1, 1], [1, 80], [37, 48], [5, 576]] {
        let x = random::<B, 2>([rows, width]) * 3.0 + 0.5;
        let weight = random::<B, 1>([width]);
        for offset in [0.0, 1.0] {
            let found = B::packed_rms_norm(x.clone(), weight.clone(), 1e-6, offset);
            let mut expected = Vec::new();
            for row in values(x.clone()).chunks(width) {
                let square = row.iter().map(|x| x * x).sum::<f64>() / width as f64;
                let scale = 1.0 / (square + 1e-6).sqrt();
                let weight = values(weight.clone());
                expected.extend(
                    row.iter()
                        .zip(weight)
                        .map(|(x, w)| x * scale * (offset + w)),
                );
            }
            assert_close(&values(found), &expected, &format!("{rows} x {width}"));
        }
    }
}

fn rotary<B: ModelBackend>() {
    for [heads, width] in [[1, 2], [3, 80], [9, 64], [2, 10]] {
        let frequencies = Frequencies {
            attention_factor: 1.25,
            ..Frequencies::default(10_000.0, width)
        };
        let positions = [0, 1, 7, 7, 2, 2047];
        let x = random::<B, 2>([positions.len(), heads * width]);
        let rotation = Rotation::new(&positions, &frequencies, &x.device());
        let found = B::packed_rotary(x.clone(), &rotation);
        let mut expected = Vec::new();
        for (row, position) in values(x).chunks(heads * width).zip(positions) {
            for head in row.chunks(width) {
                let (first, second) = head.split_at(width / 2);
                // Hugging Face: x * cos + rotate_half(x) * sin
                let turned = |i: usize, a: f64, b: f64| {
                    let exponent = -2.0 * i as f64 / width as f64;
                    let angle = f64::from(position) * 10_000f64.powf(exponent);
                    1.25 * (a * angle.cos() + b * angle.sin())
                };
                let pairs = || first.iter().zip(second).enumerate();
                expected.extend(pairs().map(|(i, (a, b))| turned(i, *a, -b)));
                expected.extend(pairs().map(|(i, (a, b))| turned(i, *b, *a)));
            }
        }
        assert_close(&values(found), &expected, &format!("{heads} x {width}"));
    }
}

/// By transformers 5.24, `ROPE_INIT_FUNCTIONS`, for theta 500,000 and heads of 64 (of which every fifth is given) with Llama
/// 3.2's parameters; and for theta 10,000, heads of 16, factor 8.
#[test]
fn frequencies_are_those_of_transformers() {
    let llama3 = Frequencies::default(500_000.0, 64).llama3(Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    });
    let found: Vec<f64> = llama3.per_pair.iter().copied().step_by(5).collect();
    let slow = [
        1.0,
        0.128_687_381_744_384_77,
        0.016_560_440_883_040_428,
        0.001_290_548_010_729_253_3,
        8.570_255_886_297_673e-6,
        1.102_883_629_755_524_5e-6,
        1.419_272_024_349_993_4e-7,
    ];
    let linear = Frequencies::default(10_000.0, 16).linear(8.0).per_pair;
    let even = [
        0.125,
        0.039_528_470_486_402_51,
        0.012_500_000_186_264_515,
        0.003_952_847_328_037_023_5,
        0.001_249_999_972_060_322_8,
        0.000_395_284_732_804_037_03,
        0.000_125_000_005_937_181_4,
        3.952_847_328_037_023_5e-5,
    ];
    for (found, expected) in [(found, slow.to_vec()), (linear, even.to_vec())] {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            // theirs are a few operations in f32
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
        }
    }
}

fn gated_feed_forward<B: ModelBackend>() {
    let activations = [
        (Gate::Silu, (|x| x / (1.0 + (-x).exp())) as fn(f64) -> f64),
        (Gate::GeluTanh, |x| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            x / 2.0 * (1.0 + inner.tanh())
        }),
        (Gate::Gelu, |x| x / 2.0 * (1.0 + libm::erf(x / 2f64.sqrt()))),
    ];
    // one token, more than the 1,024 that the kernels take at a time, and odd widths
    for [tokens, width, inner] in [[1, 1, 1], [1, 80, 36], [5, 16, 40], [1030, 12, 17]] {
        let device = Default::default();
        let x = random::<B, 2>([tokens, width]);
        let layer = |width_in: usize, width_out: usize, biased: bool| {
            let weight = random::<B, 2>([width_out, width_in]) / (width_in as f64).sqrt();
            (weight, biased.then(|| random::<B, 1>([width_out])))
        };
        let exact = |x: &[f64], (weight, bias): &(Tensor<B, 2>, Option<Tensor<B, 1>>)| {
            let [width_out, width_in] = weight.dims();
            let bias = bias.clone().unwrap_or(Tensor::zeros([width_out], &device));
            let (weight, bias) = (values(weight.clone()), values(bias));
            let rows = x.chunks(width_in).flat_map(|x| {
                weight
                    .chunks(width_in)
                    .zip(&bias)
                    .map(move |(w, bias)| bias + x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>())
            });
            rows.collect::<Vec<f64>>()
        };
        // all of them, none, and only the last
        for [first, last] in [[true, true], [false, false], [false, true]] {
            let (gate, up) = (layer(width, inner, first), layer(width, inner, first));
            let down = layer(inner, width, last);
            for (activation, function) in activations {
                let found = B::packed_gated_feed_forward(
                    x.clone(),
                    gate.clone(),
                    up.clone(),
                    down.clone(),
                    activation,
                );
                assert_eq!(found.dims(), [tokens, width]);
                let exact_x = values(x.clone());
                let gates = exact(&exact_x, &gate).into_iter().map(function);
                let ups = exact(&exact_x, &up);
                let between: Vec<f64> = gates.zip(ups).map(|(gate, up)| gate * up).collect();
                let case = format!("{activation:?} {tokens} x {width} x {inner}");
                assert_close(&values(found), &exact(&between, &down), &case);
            }
        }
    }
}

/// Heads as they come: as many of each kind, three that share, all that share one; windows of a token, of a few, and of more
/// than there are.
fn all_heads() -> Vec<Heads> {
    let mut all = Vec::new();
    for [query, key_value, width] in [[2, 2, 8], [9, 3, 16], [4, 1, 80], [1, 1, 3]] {
        for window in [None, Some(1), Some(4), Some(70), Some(1000)] {
            let scale = if query == 4 {
                0.3
            } else {
                1.0 / (width as f64).sqrt()
            };
            all.push(Heads {
                query,
                key_value,
                width,
                window,
                scale,
            });
        }
    }
    all
}

/// What one query attends to, by the formula; `seen` are rows of keys and values.
fn attend(query: &[f64], keys: &[f64], values: &[f64], seen: &[usize], heads: Heads) -> Vec<f64> {
    let row = |of: &[f64], row: usize, head: usize| {
        let start = (row * heads.key_value + head) * heads.width;
        of[start..start + heads.width].to_vec()
    };
    let mut out = Vec::new();
    for (head, query) in query.chunks(heads.width).enumerate() {
        let shared = head * heads.key_value / heads.query;
        let weights = seen.iter().map(|other| {
            let key = row(keys, *other, shared);
            let score: f64 = query.iter().zip(key).map(|(q, k)| q * k).sum();
            (score * heads.scale).exp()
        });
        let weights: Vec<f64> = weights.collect();
        let total: f64 = weights.iter().sum();
        let mut sum = vec![0.0; heads.width];
        for (other, weight) in seen.iter().zip(weights) {
            let value = row(values, *other, shared);
            for (sum, value) in sum.iter_mut().zip(value) {
                *sum += weight / total * value;
            }
        }
        out.extend(sum);
    }
    out
}

/// Groups of options: a prompt of few tokens, of many, and of one, with tails of several lengths.
fn plan(sharing: Sharing) -> Plan {
    let long: Vec<u32> = (0..75).collect();
    plan_of(&[&[1, 2, 3, 4, 5], &[7, 8], &long, &[9]], sharing)
}

fn plan_of(prompts: &[&[u32]], sharing: Sharing) -> Plan {
    let tails: [&[u32]; 3] = [&[20], &[21, 22, 23], &[24, 25, 26, 27, 28, 29, 30]];
    let options = |prompt: &&[u32]| tails.map(|tail| [prompt, tail].concat());
    let options: Vec<[Vec<u32>; 3]> = prompts.iter().map(options).collect();
    let mut groups = vec![Vec::new(); options.len()];
    for (group, options) in groups.iter_mut().zip(&options) {
        for (ids, tail) in options.iter().zip(tails) {
            let scored = tail.len();
            group.push(Sequence { ids, scored });
        }
    }
    Plan::new(&groups, sharing).expect("a valid plan")
}

/// Packed tokens, prompts shared and not, with an adapter's prefix and without: the formula over what each token sees, by
/// position.
fn attention<B: ModelBackend>() {
    for (sharing, heads) in [Sharing::Prefix, Sharing::None]
        .into_iter()
        .flat_map(|sharing| all_heads().into_iter().map(move |heads| (sharing, heads)))
    {
        let plan = plan(sharing);
        let tokens = plan.ids().len();
        let layout = AttentionLayout::<B>::of(&plan, heads);
        let [query, key, value] = [heads.query, heads.key_value, heads.key_value]
            .map(|count| random::<B, 2>([tokens, count * heads.width]));
        for prefix in [0, 3] {
            let before = (prefix > 0)
                .then(|| [(); 2].map(|()| random::<B, 2>([prefix, heads.key_value * heads.width])));
            let found = B::packed_attention(
                before.clone(),
                query.clone(),
                key.clone(),
                value.clone(),
                &layout,
            );
            assert_eq!(found.dims(), [tokens, heads.query * heads.width]);
            let with_prefix = |of: &Tensor<B, 2>, index: usize| match &before {
                Some(before) => [values(before[index].clone()), values(of.clone())].concat(),
                None => values(of.clone()),
            };
            let (keys, vectors) = (with_prefix(&key, 0), with_prefix(&value, 1));
            let queries = values(query.clone());
            let rows = queries.chunks(heads.query * heads.width).enumerate();
            let expected = rows.flat_map(|(token, query)| {
                let all: Vec<usize> = plan.seen_by(token).collect();
                let window = heads.window.unwrap_or(usize::MAX).min(all.len());
                let seen = all[all.len() - window..].iter().map(|other| other + prefix);
                let seen: Vec<usize> = (0..prefix).chain(seen).collect();
                attend(query, &keys, &vectors, &seen, heads)
            });
            let expected: Vec<f64> = expected.collect();
            let case = format!("{sharing:?} {heads:?} prefix {prefix}");
            assert_close(&values(found), &expected, &case);
        }
    }
}

/// Rows of a cache in any order, of which some are no sequence's.
const CACHED: [Range<usize>; 4] = [90..95, 4..80, 0..4, 95..100];

fn cached_attention<B: ModelBackend>() {
    for heads in all_heads() {
        let [keys, vectors] =
            [(); 2].map(|()| random::<B, 2>([101, heads.key_value * heads.width]));
        let query = random::<B, 2>([CACHED.len(), heads.query * heads.width]);
        for prefix in [0, 3] {
            let found = B::cached_attention(
                query.clone(),
                keys.clone(),
                vectors.clone(),
                &CACHED,
                prefix,
                heads,
            );
            assert_eq!(found.dims(), query.dims());
            let queries = values(query.clone());
            let rows = queries.chunks(heads.query * heads.width).zip(CACHED);
            let expected = rows.flat_map(|(query, seen)| {
                let (first, rest) = (seen.start..seen.start + prefix, seen.start + prefix);
                let window = heads.window.unwrap_or(usize::MAX);
                let rest = rest.max(seen.end.saturating_sub(window))..seen.end;
                let seen: Vec<usize> = first.chain(rest).collect();
                attend(
                    query,
                    &values(keys.clone()),
                    &values(vectors.clone()),
                    &seen,
                    heads,
                )
            });
            let expected: Vec<f64> = expected.collect();
            assert_close(&values(found), &expected, &format!("{heads:?} {prefix}"));
        }
    }
}

/// The rows of a result, of some inputs alone and among others.
fn same_bits<B: Backend>(all: &Tensor<B, 2>, rows: Range<usize>, alone: Tensor<B, 2>, case: &str) {
    let [_, width] = all.dims();
    let all = values(all.clone().slice([rows, 0..width]));
    assert_eq!(all, values(alone), "{case}");
}

/// A row alone has the bits of the row in a batch: what a loss is does not depend on its neighbours.
fn rows_alone<B: ModelBackend>() {
    let (rows, width, inner) = (1030, 80, 600);
    let x = random::<B, 2>([rows, width]);
    let weight = random::<B, 1>([width]);
    let positions: Vec<u32> = (0..rows as u32).collect();
    let frequencies = Frequencies::default(10_000.0, 16);
    let device = x.device();
    let [gate, up] = [(); 2].map(|()| random::<B, 2>([inner, width]));
    let down = random::<B, 2>([width, inner]);
    let norm = |x: Tensor<B, 2>| B::packed_rms_norm(x, weight.clone(), 1e-6, 1.0);
    let rotary = |x: Tensor<B, 2>, positions: &[u32]| {
        B::packed_rotary(x, &Rotation::new(positions, &frequencies, &device))
    };
    let feed_forward = |x: Tensor<B, 2>| {
        let [gate, up, down] = [&gate, &up, &down].map(|weight| (weight.clone(), None));
        B::packed_gated_feed_forward(x, gate, up, down, Gate::Silu)
    };
    let all = [
        norm(x.clone()),
        rotary(x.clone(), &positions),
        feed_forward(x.clone()),
    ];
    for rows in [0..1, 5..6, 1029..1030, 17..60] {
        let some = x.clone().slice([rows.clone(), 0..width]);
        let alone = [
            norm(some.clone()),
            rotary(some.clone(), &positions[rows.clone()]),
            feed_forward(some),
        ];
        for (all, alone) in all.iter().zip(alone) {
            same_bits(all, rows.clone(), alone, &format!("{rows:?}"));
        }
    }
}

fn attention_alone<B: ModelBackend>() {
    let long: Vec<u32> = (0..75).collect();
    let prompts: [&[u32]; 4] = [&[1, 2, 3, 4, 5], &[7, 8], &long, &[9]];
    let whole = plan(Sharing::Prefix);
    for heads in all_heads() {
        let widths = [heads.query, heads.key_value, heads.key_value].map(|n| n * heads.width);
        let projected = widths.map(|width| random::<B, 2>([whole.ids().len(), width]));
        let run = |plan: &Plan, projected: [Tensor<B, 2>; 3]| {
            let [query, key, value] = projected;
            let layout = AttentionLayout::of(plan, heads);
            B::packed_attention(None, query, key, value, &layout)
        };
        let all = run(&whole, projected.clone());
        for prompt in prompts {
            let plan = plan_of(&[prompt], Sharing::Prefix);
            let ids = |tokens: Range<usize>| &whole.ids()[tokens];
            let mut rows = whole.rows().iter().map(|row| row.tokens());
            let tokens = rows.find(|tokens| ids(tokens.clone()) == plan.ids());
            let tokens = tokens.expect("the same row");
            let mine = projected.each_ref().map(|of| {
                let [_, width] = of.dims();
                of.clone().slice([tokens.clone(), 0..width])
            });
            same_bits(&all, tokens, run(&plan, mine), &format!("{heads:?}"));
        }
        let [keys, vectors] =
            [(); 2].map(|()| random::<B, 2>([101, heads.key_value * heads.width]));
        let query = random::<B, 2>([CACHED.len(), heads.query * heads.width]);
        let run = |query, seen: &[Range<usize>]| {
            B::cached_attention(query, keys.clone(), vectors.clone(), seen, 3, heads)
        };
        let all = run(query.clone(), &CACHED);
        for (row, seen) in CACHED.into_iter().enumerate() {
            let query = query.clone().narrow(0, row, 1);
            let alone = run(query, &[seen]);
            same_bits(&all, row..row + 1, alone, &format!("cached {heads:?}"));
        }
    }
}

macro_rules! on_backend {
    ($module:ident, $backend:ty) => {
        mod $module {
            #[test]
            fn rms_norm() {
                super::rms_norm::<$backend>();
            }

            #[test]
            fn rotary() {
                super::rotary::<$backend>();
            }

            #[test]
            fn gated_feed_forward() {
                super::gated_feed_forward::<$backend>();
            }

            #[test]
            fn attention() {
                super::attention::<$backend>();
            }

            #[test]
            fn cached_attention() {
                super::cached_attention::<$backend>();
            }
        }
    };
}

on_backend!(ndarray, burn_ndarray::NdArray);
on_backend!(autodiff, burn_autodiff::Autodiff<burn_ndarray::NdArray>);
#[cfg(feature = "flex")]
on_backend!(flex, burn_flex::Flex);
#[cfg(feature = "cuda")]
on_backend!(cuda, burn_cuda::Cuda);

macro_rules! has_bits {
    ($module:ident, $backend:ty) => {
        /// (Without a fused multiply-add a matrix library may choose the order of sums by the number of rows.)
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        mod $module {
            #[test]
            fn rows_alone() {
                super::rows_alone::<$backend>();
            }

            #[test]
            fn attention_alone() {
                super::attention_alone::<$backend>();
            }
        }
    };
}

has_bits!(ndarray_bits, burn_ndarray::NdArray);
#[cfg(feature = "flex")]
has_bits!(flex_bits, burn_flex::Flex);

/// Weights of 16 bits are brought to f32, and nothing else.
#[cfg(feature = "flex")]
#[test]
fn sixteen_bit_weights_compute_as_f32_weights_with_their_numbers() {
    type B = burn_flex::Flex;
    for dtype in [DType::F16, DType::BF16] {
        let x = random::<B, 2>([5, 80]);
        let narrow = |shape: [usize; 2]| random::<B, 2>(shape).cast(dtype);
        let maps = [narrow([36, 80]), narrow([36, 80]), narrow([80, 36])];
        let wide = maps.clone().map(|weight| weight.cast(DType::F32));
        let bias = random::<B, 1>([80]).cast(dtype);
        let feed_forward = |maps: [Tensor<B, 2>; 3], bias: Tensor<B, 1>| {
            let [gate, up, down] = maps;
            let (gate, up, down) = ((gate, None), (up, None), (down, Some(bias)));
            values(B::packed_gated_feed_forward(
                x.clone(),
                gate,
                up,
                down,
                Gate::Silu,
            ))
        };
        let norm = |weight| values(B::packed_rms_norm(x.clone(), weight, 1e-6, 1.0));
        let wide_bias = bias.clone().cast(DType::F32);
        assert_eq!(norm(bias.clone()), norm(wide_bias.clone()), "{dtype:?}");
        assert_eq!(
            feed_forward(maps, bias),
            feed_forward(wide, wide_bias),
            "{dtype:?}"
        );
    }
}

/// The gradient of a sum of the results, each multiplied by a number of its own, is the slope along a direction in f64.
fn assert_differentiable<const N: usize>(
    case: &str,
    step: f64,
    shapes: [[usize; 2]; N],
    function: impl Fn([Tensor<Autodiff<NdArray>, 2>; N]) -> Tensor<Autodiff<NdArray>, 2>,
) {
    type B = Autodiff<NdArray>;
    let device = Default::default();
    let wide = |tensor: Tensor<NdArray, 2>| {
        let data: TensorData = tensor.into_data().convert_dtype(DType::F64);
        Tensor::<B, 2>::from_data(data, (&device, DType::F64))
    };
    let [at, along] = [(); 2].map(|()| shapes.map(|shape| wide(random::<NdArray, 2>(shape))));
    let at = at.map(Tensor::require_grad);
    let y = function(at.clone());
    let weights = wide(random::<NdArray, 2>(y.dims()));
    let loss = |y: Tensor<B, 2>| (y * weights.clone()).sum();
    let gradients = loss(y).backward();
    let mut predicted = 0.0;
    for (at, along) in at.iter().zip(&along) {
        let gradient = at.grad(&gradients).expect("every input has a gradient");
        predicted += values(gradient * along.clone().inner()).iter().sum::<f64>();
    }
    let moved = |step: f64| {
        let moved = std::array::from_fn(|i| at[i].clone() + along[i].clone() * step);
        values(loss(function(moved)))[0]
    };
    // two differences whose third orders cancel: the fifth is left, and what the function rounds, divided by the step
    let difference = |step: f64| moved(step) - moved(-step);
    let slope = (8.0 * difference(step) - difference(2.0 * step)) / (12.0 * step);
    assert!(
        (slope - predicted).abs() < step / 10.0 * slope.abs().max(1.0),
        "{case}: {slope} against {predicted}"
    );
}

#[test]
fn the_plain_operations_can_be_differentiated() {
    type B = Autodiff<NdArray>;
    const FINE: f64 = 1e-3;
    // burn computes logistic functions, hyperbolic tangents and error functions in f32, of f64 as well
    const COARSE: f64 = 1e-2;
    assert_differentiable("norm", FINE, [[5, 12], [1, 12]], |[x, weight]| {
        B::packed_rms_norm(x, weight.squeeze_dim(0), 1e-6, 1.0)
    });
    let frequencies = Frequencies::default(100.0, 6);
    let rotation = Rotation::new(&[0, 1, 5, 2], &frequencies, &Default::default());
    assert_differentiable("rotary", FINE, [[4, 12]], |[x]| {
        B::packed_rotary(x, &rotation)
    });
    for activation in [Gate::Silu, Gate::GeluTanh, Gate::Gelu] {
        let shapes = [[3, 4], [5, 4], [5, 4], [4, 5]];
        assert_differentiable(
            &format!("{activation:?}"),
            COARSE,
            shapes,
            |[x, gate, up, down]| {
                let [gate, up, down] = [gate, up, down].map(|weight| (weight, None));
                B::packed_gated_feed_forward(x, gate, up, down, activation)
            },
        );
    }
    let heads = Heads {
        key_value: 2,
        window: Some(3),
        ..Heads::plain(4, 3)
    };
    let plan = plan(Sharing::Prefix);
    let layout = AttentionLayout::<B>::of(&plan, heads);
    let tokens = plan.ids().len();
    let shapes = [[tokens, 12], [tokens, 6], [tokens, 6], [2, 6], [2, 6]];
    assert_differentiable(
        "packed",
        FINE,
        shapes,
        |[query, key, value, keys, values]| {
            B::packed_attention(Some([keys, values]), query, key, value, &layout)
        },
    );
    assert_differentiable(
        "cached",
        FINE,
        [[2, 12], [9, 6], [9, 6]],
        |[query, keys, values]| B::cached_attention(query, keys, values, &[0..5, 5..9], 1, heads),
    );
}
