//! The overrides of the CPU backends agree with plain tensor operations, and the plain ones can be
//! differentiated.
use zograd_params::ParameterPath;

use crate::seeded;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Distribution, Tensor};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use zograd_models::{Model, ModelBackend, ModelConfig, Plan, Projection, Sequence, Sharing};

fn random<B: Backend, const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    let _generator = seeded::generator();
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &B::Device::default())
}

fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// Sums of up to 300 products of unit normals are of the order 17; their f32 rounding is below
/// 1e-4.
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < 2e-4, "element {index}: {a} against {b}");
    }
}

fn linear_is_the_plain_product<B: ModelBackend>() {
    for [tokens, width_in, width_out] in [[1, 1, 1], [1, 64, 7], [33, 64, 96], [130, 300, 17]] {
        let x = random::<B, 2>([tokens, width_in]);
        let weight = random::<B, 2>([width_out, width_in]);
        let bias = random::<B, 1>([width_out]);
        let product = x.clone().matmul(weight.clone().transpose());
        let found = B::packed_linear(x.clone(), weight.clone(), None);
        assert_eq!(found.dims(), [tokens, width_out]);
        assert_close(&values(found), &values(product.clone()));
        let found = B::packed_linear(x, weight, Some(bias.clone()));
        assert_close(&values(found), &values(product + bias.unsqueeze()));
    }
}

/// Views: a transposed input, a slice that starts inside a row of its storage, a strided weight.
fn linear_reads_views<B: ModelBackend>() {
    let x = random::<B, 2>([40, 30]);
    let weight = random::<B, 2>([50, 12]).slice([7..39, 0..12]);
    let expect = |x: Tensor<B, 2>, weight: Tensor<B, 2>| {
        // through the host: no view survives
        let [rows, inner] = x.dims();
        let columns = weight.dims()[0];
        let (x, weight) = (values(x), values(weight));
        let mut y = vec![0.0; rows * columns];
        for (index, y) in y.iter_mut().enumerate() {
            let (row, column) = (index / columns, index % columns);
            *y = (0..inner)
                .map(|i| x[row * inner + i] * weight[column * inner + i])
                .sum();
        }
        y
    };
    let sliced = x.clone().slice([3..21, 5..17]);
    let found = B::packed_linear(sliced.clone(), weight.clone(), None);
    assert_close(&values(found), &expect(sliced, weight.clone()));
    let transposed = x.transpose().slice([0..30, 4..16]);
    let found = B::packed_linear(transposed.clone(), weight.clone(), None);
    assert_close(&values(found), &expect(transposed, weight));
    let strided = random::<B, 2>([12, 32]).transpose();
    let x = random::<B, 2>([5, 12]);
    let found = B::packed_linear(x.clone(), strided.clone(), None);
    assert_close(&values(found), &expect(x, strided));
}

/// Fewer tokens than a block, more than one, and widths that are no multiple of a cache line.
fn feed_forward_is_its_two_products<B: ModelBackend>() {
    for [tokens, width, inner] in [[1, 1, 1], [5, 16, 40], [1030, 12, 17], [700, 32, 64]] {
        let x = random::<B, 2>([tokens, width]);
        let (w1, b1) = (random::<B, 2>([inner, width]), random::<B, 1>([inner]));
        let (w2, b2) = (
            random::<B, 2>([width, inner]) * 0.1,
            random::<B, 1>([width]),
        );
        for biased in [true, false] {
            let bias = |b: &Tensor<B, 1>| biased.then(|| b.clone());
            let layer = |w: &Tensor<B, 2>, b| (w.clone(), bias(b));
            let found = B::packed_feed_forward(x.clone(), layer(&w1, &b1), layer(&w2, &b2));
            let first = B::packed_linear(x.clone(), w1.clone(), bias(&b1));
            let expected = B::packed_linear(first.clamp_min(0.0), w2.clone(), bias(&b2));
            assert_eq!(found.dims(), [tokens, width]);
            assert_close(&values(found), &values(expected));
        }
    }
}

/// One addition an element: the bits of the plain sum, views included.
fn add_is_the_plain_sum<B: ModelBackend>() {
    for [tokens, width] in [[1, 1], [37, 48], [700, 96]] {
        let (x, y) = (
            random::<B, 2>([tokens, width]),
            random::<B, 2>([width, tokens]),
        );
        let found = B::packed_add(x.clone(), y.clone().transpose());
        assert_eq!(found.dims(), [tokens, width]);
        assert_eq!(values(found), values(x + y.transpose()));
    }
}

/// A derivative by a divisor, which the backends' automatic differentiation takes by way of a reciprocal: not one of the
/// processor's approximations, which differ from exact ones in the fourth to sixth digit.
fn reciprocals_are_exact<B: ModelBackend>() {
    let x = random::<B, 2>([40, 33]).abs() + 0.25;
    let expected: Vec<f32> = values(x.clone()).iter().map(|x| 1.0 / x).collect();
    // by now the only handle: in place, where the backend does so
    let found = values(x.recip());
    assert_eq!(found, expected);
}

fn layer_norm_is_its_formula<B: ModelBackend>() {
    let x = random::<B, 2>([37, 48]) * 3.0 + 5.0;
    let (weight, bias) = (random::<B, 1>([48]), random::<B, 1>([48]));
    let found = B::packed_layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-5);
    let (x, weight, bias) = (values(x), values(weight), values(bias));
    let mut expected = Vec::new();
    for row in x.chunks(48) {
        let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
        let mean = row.iter().sum::<f64>() / 48.0;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 48.0;
        for ((x, weight), bias) in row.iter().zip(&weight).zip(&bias) {
            let normal = (x - mean) / (variance + 1e-5).sqrt();
            expected.push((normal * f64::from(*weight) + f64::from(*bias)) as f32);
        }
    }
    assert_close(&values(found), &expected);
}

fn log_probs_are_their_formula<B: ModelBackend>() {
    let logits = random::<B, 2>([3, 50]) * 10.0;
    let pairs = [(2, 49), (0, 0), (1, 7), (1, 8)];
    let found = B::log_probs_at(logits.clone(), &pairs);
    let logits = values(logits);
    let expected = pairs.map(|(row, id)| {
        let row: Vec<f64> = logits[row * 50..][..50]
            .iter()
            .map(|x| f64::from(*x))
            .collect();
        (row[id as usize] - row.iter().map(|x| x.exp()).sum::<f64>().ln()) as f32
    });
    assert_close(&values(found), &expected);
}

macro_rules! on_backend {
    ($module:ident, $backend:ty) => {
        mod $module {
            #[test]
            fn linear() {
                super::linear_is_the_plain_product::<$backend>();
                super::linear_reads_views::<$backend>();
            }

            #[test]
            fn add() {
                super::add_is_the_plain_sum::<$backend>();
            }

            #[test]
            fn reciprocals() {
                super::reciprocals_are_exact::<$backend>();
            }

            #[test]
            fn feed_forward() {
                super::feed_forward_is_its_two_products::<$backend>();
            }

            #[test]
            fn layer_norm() {
                super::layer_norm_is_its_formula::<$backend>();
            }

            #[test]
            fn log_probs() {
                super::log_probs_are_their_formula::<$backend>();
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

fn config() -> ModelConfig {
    ModelConfig::from_json(
        r#"{"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
            "ffn_dim": 16, "max_position_embeddings": 32, "init_std": 0.3}"#,
    )
    .expect("a valid configuration")
}

/// Norm of each parameter's gradient.
struct GradientNorms<'g, B: AutodiffBackend> {
    gradients: &'g B::Gradients,
    path: ParameterPath,
    norms: Vec<(String, f32)>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for GradientNorms<'_, B> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.path.name();
        let gradient = param.grad(self.gradients);
        let gradient = gradient.unwrap_or_else(|| panic!("{name} has no gradient"));
        let squares: f32 = values(gradient.clone() * gradient).iter().sum();
        self.norms.push((name, squares.sqrt()));
    }
}

#[test]
fn every_parameter_has_its_gradient() {
    type B = Autodiff<NdArray>;
    let model: Model<B> = seeded::model(&config(), 3);
    let (one, two) = ([2, 4, 3, 5, 1], [2, 4, 3, 7, 9, 10]);
    let options = vec![
        Sequence {
            ids: &one,
            scored: 2,
        },
        Sequence {
            ids: &two,
            scored: 3,
        },
    ];
    let plan = Plan::new(&[options], Sharing::Prefix).expect("valid");
    let loss = |model: &Model<B>| {
        model
            .log_probs_tensor(&plan)
            .expect("valid ids")
            .mean()
            .neg()
    };
    let gradients = loss(&model).backward();
    let mut visitor = GradientNorms::<B> {
        gradients: &gradients,
        path: ParameterPath::default(),
        norms: Vec::new(),
    };
    model.visit(&mut visitor);
    // 2 tables, 2 of the final norm, 16 a layer
    assert_eq!(visitor.norms.len(), 2 + 2 + 2 * 16);
    for (name, norm) in &visitor.norms {
        // softmax does not see a constant added to all keys: that gradient is rounding
        let zero = name.ends_with("k_proj.bias");
        assert!(norm.is_finite() && (*norm > 1e-4) != zero, "{name}: {norm}");
    }

    // and it is the slope of one matrix: what steps to either side of it find. Their difference has no
    // second-order part; rounding of the loss (about 2e-7 of a difference of about 1e-2) and the third
    // order stay under a percent.
    let fc1 = |model: &Model<B>| {
        let fc1 = model.projection(0, Projection::Fc1);
        fc1.expect("a layer").weight.clone()
    };
    let gradient = fc1(&model).val().grad(&gradients).expect("tested above");
    let squares: f32 = values(gradient.clone() * gradient.clone()).iter().sum();
    let step = 2e-3 / squares.sqrt();
    let moved = |step: f32| {
        let mut model = model.clone();
        let weight =
            fc1(&model).map(|weight| Tensor::from_inner(weight.inner() + gradient.clone() * step));
        let linear = model.projection_mut(0, Projection::Fc1);
        linear.expect("a layer").weight = weight;
        loss(&model).into_scalar()
    };
    let change = moved(step) - moved(-step);
    let predicted = 2.0 * squares * step;
    assert!(
        (change / predicted - 1.0).abs() < 0.05,
        "{change} against {predicted}"
    );
}

/// Parameter paths are Hugging Face's names.
#[test]
fn paths_are_names() {
    #[derive(Default)]
    struct Names {
        path: ParameterPath,
        names: Vec<String>,
    }
    impl<B: Backend> ModuleVisitor<B> for Names {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }

        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.exit(container);
        }

        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<B, D>>) {
            self.names.push(self.path.name());
        }
    }
    let model: Model<NdArray> = seeded::model(&config(), 1);
    assert_eq!(model.num_params(), config().num_parameters());
    let mut names = Names::default();
    model.visit(&mut names);
    for name in [
        "decoder.embed_tokens.weight",
        "decoder.embed_positions.weight",
        "decoder.final_layer_norm.bias",
        "decoder.layers.1.self_attn.q_proj.weight",
        "decoder.layers.0.self_attn.out_proj.bias",
        "decoder.layers.0.self_attn_layer_norm.weight",
        "decoder.layers.1.fc2.weight",
        "decoder.layers.1.final_layer_norm.bias",
    ] {
        assert!(
            names.names.iter().any(|other| other == name),
            "{name} in {:?}",
            names.names
        );
    }
}
