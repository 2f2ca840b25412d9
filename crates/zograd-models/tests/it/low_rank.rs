//! Probes of low rank: what they add to matrices is added to products, in one batch, and no matrix is made.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData, TensorPrimitive};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use serde_json::{Value, json};
use std::cell::Cell;
use std::slice;
use zograd_models::{
    AdapterConfig, LanguageModel, Left, LoraConfig, LowRank, Model, ModelBackend, ModelConfig,
    Plan, Probe, Still,
};

use crate::moved::{self, Moving, moved_scores, rows_of};
use crate::seeded;

const RANK: usize = 3;

/// Matrices plus matrices of low rank, and vectors times numbers, by a coefficient for each point.
struct Additive {
    moving: Moving,
    coefficients: Vec<f32>,
    /// Whether points share their left factor, too.
    shared_left: bool,
    /// Matrices that were made.
    made: Cell<usize>,
    /// The most points that were asked for together with this probe as the first.
    together: Cell<usize>,
}

impl Additive {
    /// Of all matrices, and vectors if they move as well.
    fn new<B: ModelBackend>(
        model: &Model<B>,
        vectors: bool,
        (coefficients, shared_left): (&[f32], bool),
    ) -> Self {
        Self {
            moving: Moving::of(model, |_, rank| rank > 1 || vectors),
            coefficients: coefficients.to_vec(),
            shared_left,
            made: Cell::new(0),
            together: Cell::new(0),
        }
    }

    /// `left`, `middle` with coefficient 1, and `right` of a matrix `[out, in]`.
    fn factors<B: Backend>([out, inner]: [usize; 2], device: &B::Device) -> [Tensor<B, 2>; 3] {
        let matrix = |rows: usize, columns: usize, step: usize, scale: f32| {
            let number = |i: usize| ((i * step + columns) % 13) as f32 - 6.0;
            let values: Vec<f32> = (0..rows * columns).map(|i| scale * number(i)).collect();
            let data = TensorData::new(values, [rows, columns]);
            Tensor::from_data(data, (device, DType::F32))
        };
        [
            matrix(out, RANK, 7, 0.01),
            matrix(RANK, RANK, 5, 0.25),
            matrix(RANK, inner, 11, 0.05),
        ]
    }
}

impl<B: ModelBackend> Probe<B> for Additive {
    fn points(&self) -> usize {
        self.coefficients.len()
    }

    fn moves<M: Module<B>>(&self, part: &M) -> bool {
        self.moving.any_in(part)
    }

    fn moved<M: Module<B>>(&self, part: &M) -> Vec<M> {
        struct Add<'a>(&'a Additive, f32);
        impl<B: Backend> ModuleMapper<B> for Add<'_> {
            fn map_float<const D: usize>(
                &mut self,
                param: Param<Tensor<B, D>>,
            ) -> Param<Tensor<B, D>> {
                if !self.0.moving.has(param.id) {
                    return param;
                }
                let coefficient = self.1;
                if D == 1 {
                    return param.map(|tensor| tensor.mul_scalar(1.0 + 0.1 * coefficient));
                }
                self.0.made.set(self.0.made.get() + 1);
                param.map(|tensor| {
                    let shape = tensor.dims();
                    let shape = [shape[0], shape[1]];
                    let [left, middle, right] = Additive::factors::<B>(shape, &tensor.device());
                    let added = left.matmul(middle.mul_scalar(coefficient)).matmul(right);
                    let added: TensorPrimitive<B> = added.cast(tensor.dtype()).into_primitive();
                    tensor + Tensor::from_primitive(added)
                })
            }
        }
        let points = self.coefficients.iter();
        points
            .map(|coefficient| part.clone().map(&mut Add(self, *coefficient)))
            .collect()
    }

    fn added(
        probes: &[&Self],
        matrix: &Param<Tensor<B, 2>>,
        rows: Option<&[u32]>,
    ) -> Option<LowRank<B>> {
        let first = probes.first()?;
        if !first.moving.has(matrix.id) {
            return None;
        }
        let device = matrix.val().device();
        let [left, middle, right] = Self::factors::<B>(matrix.dims(), &device);
        let left = match rows {
            Some(rows) => {
                let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
                left.select(0, Tensor::from_ints(&rows[..], &device))
            }
            None => left,
        };
        let points = probes.iter().flat_map(|probe| &probe.coefficients);
        let together = first.together.get().max(points.clone().count());
        first.together.set(together);
        let points = points.map(|coefficient| {
            let middle = middle.clone().mul_scalar(*coefficient);
            match first.shared_left {
                true => Left {
                    left: left.clone(),
                    middle: Some(middle),
                },
                false => Left {
                    left: left.clone().matmul(middle),
                    middle: None,
                },
            }
        });
        Some(LowRank::new(right, points.collect()))
    }

    fn makes_rows(&self) -> bool {
        true
    }

    fn rows(&self, table: &Param<Tensor<B, 2>>, rows: &[u32]) -> Vec<Tensor<B, 2>> {
        rows_of(self.moved(table), rows)
    }
}

/// OPT in all its forms; how many matrices of them are no matrix of a layer and no table.
fn opts() -> Vec<(ModelConfig, usize)> {
    moved::opts().into_iter().zip([0, 0, 2]).collect()
}

/// Llama and its kin: grouped heads, norms of heads, biases, windows, norms after.
fn llamas() -> Vec<ModelConfig> {
    let config = |more: Value| {
        let mut config = json!({
            "vocab_size": 61, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
            "max_position_embeddings": 400, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "initializer_range": 0.2, "hidden_act": "silu",
        });
        let all = config.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        ModelConfig::from_json(&config.to_string()).expect("a valid configuration")
    };
    vec![
        config(json!({"model_type": "llama", "tie_word_embeddings": true})),
        config(json!({"model_type": "qwen2", "tie_word_embeddings": false})),
        config(
            json!({"model_type": "qwen3", "tie_word_embeddings": true, "attention_bias": false}),
        ),
        config(json!({
            "model_type": "gemma3_text", "tie_word_embeddings": true, "attention_bias": false,
            "hidden_activation": "gelu_pytorch_tanh", "rope_local_base_freq": 10000.0,
            "sliding_window": 6, "sliding_window_pattern": 2, "query_pre_attn_scalar": 8,
        })),
    ]
}

/// Groups of two options after a prompt.
fn plan(examples: usize, options: [usize; 2]) -> Plan {
    moved::plan(examples, 9, options, 61)
}

/// A probe with its opposite, one alone, one that does nothing.
fn probes<B: ModelBackend>(model: &Model<B>, vectors: bool, shared_left: bool) -> [Additive; 3] {
    [&[1.0f32, -1.0][..], &[0.5], &[0.0]]
        .map(|coefficients| Additive::new(model, vectors, (coefficients, shared_left)))
}

/// The scores are those of `expected`, which differ by the order in which f32 numbers are added.
fn check<B: ModelBackend>(
    model: &Model<B>,
    plan: &Plan,
    probes: &[Additive],
    expected: &[Vec<f32>],
    matrices: usize,
) {
    let before: Vec<usize> = probes.iter().map(|probe| probe.made.get()).collect();
    let found = model.log_probs_at_each(plan, probes, &mut Still::new());
    let found = found.expect("valid ids");
    for (probe, before) in probes.iter().zip(before) {
        let points = probe.coefficients.len();
        assert_eq!(probe.made.get() - before, points * matrices);
    }
    assert_eq!(found.len(), expected.len());
    assert_ne!(found[0], found[1], "the parameters matter");
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        // sums of some tens of numbers, in three layers: some tens of roundings of 2^-24 each
        let close = (found - expected).abs() <= 2e-5 * expected.abs().max(1.0);
        assert!(close, "{found} and {expected}");
    }
    // a probe alone says what it says among others: so ranks that share the probes say what one process says
    let mut first = 0;
    for probe in probes {
        let alone = model.log_probs_at_each(plan, slice::from_ref(probe), &mut Still::new());
        let together = &found[first..first + probe.coefficients.len()];
        first += together.len();
        if cfg!(target_arch = "x86_64") {
            assert_eq!(alone.expect("valid ids"), together);
        }
    }
}

#[test]
fn what_is_added_to_products_is_what_is_added_to_matrices() {
    let llamas = llamas().into_iter().map(|config| (config, 0));
    for (config, matrices) in opts().into_iter().chain(llamas) {
        let model: Model<NdArray> = seeded::model(&config, 5);
        for plan in [
            plan(5, [1, 1]),
            plan(5, [1, 1]).unnormalised(),
            plan(3, [4, 2]),
        ] {
            for (vectors, shared_left) in [(true, true), (true, false), (false, true)] {
                let probes = probes(&model, vectors, shared_left);
                let expected = moved_scores(&model, &plan, &probes);
                check(&model, &plan, &probes, &expected, matrices);
            }
        }
    }
}

/// Plans with points of their own, of few tokens and of many: the scores of each where its points are.
#[test]
fn plans_at_their_own_points_say_what_each_says_alone() {
    let points: [&[&[f32]]; 3] = [
        &[&[1.0, -1.0], &[0.5]],
        &[&[-0.75], &[0.25]],
        &[&[0.6, -0.6]],
    ];
    let llamas = llamas().into_iter().map(|config| (config, 0));
    for (config, matrices) in opts().into_iter().chain(llamas) {
        let model: Model<NdArray> = seeded::model(&config, 5);
        let plans = [
            plan(1, [1, 1]).unnormalised(),
            plan(3, [4, 2]),
            plan(1, [2, 1]),
        ];
        for (vectors, shared_left) in [(true, true), (true, false), (false, true)] {
            let probes = points.map(|probes| -> Vec<Additive> {
                let probes = probes.iter();
                let one = |points: &&[f32]| Additive::new(&model, vectors, (points, shared_left));
                probes.map(one).collect()
            });
            for count in [1, 3] {
                let parts = plans.iter().zip(&probes).take(count);
                let parts: Vec<_> = parts.map(|(plan, probes)| (plan, &probes[..])).collect();
                let all = || parts.iter().flat_map(|(_, probes)| *probes);
                let made = || all().map(|probe| probe.made.get()).sum::<usize>();
                let before = made();
                let found = model.log_probs_at_own(&parts).expect("valid ids");
                let points: usize = all().map(|probe| probe.coefficients.len()).sum();
                assert_eq!(made() - before, points * matrices);
                let expected = parts.iter();
                let expected =
                    expected.flat_map(|(plan, probes)| moved_scores(&model, plan, probes));
                let expected: Vec<Vec<f32>> = expected.collect();
                assert_eq!(found.len(), expected.len());
                assert_ne!(found[0], found[1], "the parameters matter");
                for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                    // sums of some tens of numbers, in three layers: some tens of roundings of 2^-24 each
                    let close = (found - expected).abs() <= 2e-5 * expected.abs().max(1.0);
                    assert!(close, "{found} and {expected}");
                }
            }
        }
    }
}

/// However many probes a plan has, 4,096 tokens go through a layer at once; a plan without probes has no scores.
#[test]
fn many_probes_of_one_plan_are_cut() {
    let (config, _) = opts().swap_remove(0);
    let model: Model<NdArray> = seeded::model(&config, 5);
    let [many, none] = [plan(20, [1, 1]), plan(1, [1, 1])];
    let one = |k: usize| Additive::new(&model, true, (&[k as f32 / 40.0], true));
    let probes: Vec<Additive> = (0..40).map(one).collect();
    let found = model.log_probs_at_own(&[(&none, &probes[..0]), (&many, &probes[..])]);
    let found = found.expect("valid ids");
    let tokens = many.stats().tokens;
    let most = probes.iter().map(|probe| probe.together.get()).max();
    assert!(40 * tokens > 4096, "{tokens}");
    assert!(
        most.is_some_and(|most| most > 1 && most * tokens <= 4096),
        "{most:?}"
    );
    let expected = moved_scores(&model, &many, &probes);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        let close = (found - expected).abs() <= 2e-5 * expected.abs().max(1.0);
        assert!(close, "{found} and {expected}");
    }
}

/// Where no layer moves, or it has an adapter, the plans are looked at one after the other.
#[test]
fn plans_are_looked_at_one_by_one_where_they_must_be() {
    let (config, _) = opts().swap_remove(0);
    let model: Model<NdArray> = seeded::model(&config, 5);
    let adapter = AdapterConfig::Lora(LoraConfig::default());
    let adapted = model
        .clone()
        .with_adapter(&adapter, zograd_direction::Seed::new(3))
        .expect("valid");
    let plans = [plan(2, [1, 1]), plan(1, [3, 2])];
    let tables = |name: &str, _: usize| name.contains("embed_tokens");
    for (model, moving) in [
        (&model, Moving::of(&model, tables)),
        (&adapted, Moving::of(&adapted, |_, rank| rank > 1)),
    ] {
        let probe = [Additive {
            moving,
            coefficients: vec![1.0, -1.0],
            shared_left: true,
            made: Cell::new(0),
            together: Cell::new(0),
        }];
        let found = model.log_probs_at_own(&plans.each_ref().map(|plan| (plan, &probe[..])));
        let alone = plans
            .iter()
            .flat_map(|plan| moved_scores(model, plan, &probe));
        let found = found.expect("valid ids");
        assert_eq!(found.len(), 4);
        for (found, alone) in found.into_iter().flatten().zip(alone.flatten()) {
            let close = (found - alone).abs() <= 2e-5 * alone.abs().max(1.0);
            assert!(close, "{found} and {alone}");
        }
    }
}

/// 16-bit weights stay what they are, and what is added to them is not rounded to their type: the scores are those of f32
/// weights of the same numbers.
#[test]
fn weights_of_16_bits_round_nothing_that_is_added() {
    struct Widened;
    impl<B: Backend> ModuleMapper<B> for Widened {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            param.map(|tensor| tensor.cast(DType::F32))
        }
    }
    let (config, _) = opts().swap_remove(0);
    let plan = plan(4, [1, 2]);
    for dtype in [DType::BF16, DType::F16] {
        let model: Model<Flex> = seeded::model_of(&config, dtype, 5);
        let wide = model.clone().map(&mut Widened);
        let probes = probes(&model, false, true);
        let expected = moved_scores(&wide, &plan, &probes);
        check(&model, &plan, &probes, &expected, 0);
    }
}

/// A model with an adapter has its layers made: an adapter adds to the same products.
#[test]
fn a_layer_with_an_adapter_is_made() {
    let (config, _) = opts().swap_remove(0);
    let model: Model<NdArray> = seeded::model(&config, 5);
    let adapter = AdapterConfig::Lora(LoraConfig::default());
    let model = model
        .with_adapter(&adapter, zograd_direction::Seed::new(3))
        .expect("valid");
    let plan = plan(4, [1, 2]);
    let probe = [Additive::new(&model, true, (&[1.0, -1.0], true))];
    let found = model.log_probs_at_each(&plan, &probe, &mut Still::new());
    assert!(probe[0].made.get() > 0);
    let expected = moved_scores(&model, &plan, &probe);
    for (found, expected) in found
        .expect("valid ids")
        .iter()
        .flatten()
        .zip(expected.iter().flatten())
    {
        // of the tables alone the products are taken apart
        let close = (found - expected).abs() <= 2e-5 * expected.abs().max(1.0);
        assert!(close, "{found} and {expected}");
    }
}
