//! What computes the same bits: a sequence alone and in a batch, 16-bit weights and f32 weights with the same numbers.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use burn_autodiff::Autodiff;
use burn_flex::Flex;
use burn_ndarray::NdArray;
use zograd_direction::Seed;
use zograd_models::{
    AdapterConfig, Decoding, Generation, LoraConfig, Model, ModelBackend, ModelConfig, Plan,
    PrefixConfig, Sequence, Sharing,
};

use crate::seeded;

/// Widths beyond the sizes for which a matrix library has kernels of their own, where the rows are many, and below
/// them, where they are few.
fn config() -> ModelConfig {
    ModelConfig::from_json(
        r#"{"vocab_size": 387, "hidden_size": 72, "num_hidden_layers": 2, "num_attention_heads": 2,
            "ffn_dim": 600, "max_position_embeddings": 64, "init_std": 0.2}"#,
    )
    .expect("a valid configuration")
}

/// Examples of two candidates; the first has candidates of one token, so that logits are read at one position.
fn examples() -> Vec<[Vec<u32>; 2]> {
    let ids = |from: u32, length: u32| (from..from + length).map(|id| id * 31 % 387).collect();
    let example = |from, length, tails: [u32; 2]| {
        tails.map(|tail| {
            let prompt: Vec<u32> = ids(from, length);
            [prompt, ids(from + 90 * tail, tail)].concat()
        })
    };
    vec![
        example(3, 17, [1, 1]),
        example(40, 30, [2, 5]),
        example(90, 1, [3, 1]),
    ]
}

fn plan(examples: &[[Vec<u32>; 2]]) -> Plan {
    let groups: Vec<Vec<Sequence<'_>>> = examples
        .iter()
        .map(|options| {
            let scored = |ids| Sequence { ids, scored: 1 };
            options.iter().map(|ids| scored(ids.as_slice())).collect()
        })
        .collect();
    Plan::new(&groups, Sharing::Prefix).expect("valid sequences")
}

fn alone_as_in_a_batch<B: ModelBackend>() {
    let model: Model<B> = seeded::model(&config(), 5);
    let examples = examples();
    let together = model.log_probs(&plan(&examples)).expect("valid ids");
    let alone = examples.iter().flat_map(|example| {
        let plan = plan(std::slice::from_ref(example));
        model.log_probs(&plan).expect("valid ids")
    });
    assert_eq!(together, alone.collect::<Vec<f32>>());
}

/// Where the processor has no fused multiply-add, a matrix library may choose the order of sums by the number of rows.
#[test]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    ignore = "no fused multiply-add"
)]
fn a_sequence_alone_has_its_bits_in_a_batch() {
    alone_as_in_a_batch::<NdArray>();
    alone_as_in_a_batch::<Flex>();
}

struct ToF32;

impl<B: Backend> ModuleMapper<B> for ToF32 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|tensor| tensor.cast(DType::F32))
    }
}

/// So 16-bit weights add no error of their own to a loss, and none to a slope: what is rounded is a weight, when it moves.
#[test]
fn sixteen_bit_weights_compute_as_f32_weights_with_their_numbers() {
    let adapters = [
        None,
        Some(AdapterConfig::Lora(LoraConfig::default())),
        Some(AdapterConfig::Prefix(PrefixConfig::default())),
    ];
    let plan = plan(&examples());
    let prompts: [&[u32]; 2] = [&[2, 30, 4, 11], &[2, 77]];
    let beams = Generation {
        decoding: Decoding::Beams(2),
        ..Generation::greedy(5)
    };
    for dtype in [DType::F16, DType::BF16] {
        for adapter in &adapters {
            let case = format!("{dtype:?} {adapter:?}");
            let mut model: Model<Flex> = seeded::model_of(&config(), dtype, 2);
            if let Some(adapter) = adapter {
                let adapted = model.with_adapter(adapter, Seed::new(1));
                model = adapted.expect("a valid adapter");
            }
            assert_eq!(model.dtype(), dtype);
            let wide = model.clone().map(&mut ToF32);
            assert_eq!(wide.dtype(), DType::F32);
            let scores = |model: &Model<Flex>| model.log_probs(&plan).expect("valid ids");
            assert_eq!(scores(&model), scores(&wide), "{case}");
            for generation in [Generation::greedy(5), beams.clone()] {
                let written = |model: &Model<Flex>| {
                    let written = model.generate(&prompts, &generation);
                    written.expect("valid prompts")
                };
                assert_eq!(written(&model), written(&wide), "{case}");
            }
            let logits = |model: &Model<Flex>| {
                let logits = model.forward(&[prompts[0].to_vec()]).expect("valid ids");
                assert_eq!(logits[0].dtype(), DType::F32, "{case}");
                logits[0].to_data().to_vec::<f32>().expect("f32")
            };
            assert_eq!(logits(&model), logits(&wide), "{case}");
        }
    }
}

/// The plain tensor operations, as on a GPU: the logits are those of f32 rows of the table, and not rounded again. (What flows
/// between the layers has 16 bits there.)
#[test]
fn logits_are_not_rounded_by_plain_operations() {
    type B = Autodiff<Flex>;
    let examples = examples();
    let plan = plan(&examples);
    for dtype in [DType::F16, DType::BF16] {
        let model: Model<B> = seeded::model_of(&config(), dtype, 2);
        let features = model.features(&plan).expect("valid ids");
        let table = model.token_table().weight.val();
        let expected = features
            .cast(DType::F32)
            .matmul(table.cast(DType::F32).transpose());
        let expected: Vec<f32> = expected.into_data().to_vec().expect("f32");
        // the scores are differences of logits: of the two candidates of an example, where logits are read once
        let scores = model.log_probs(&plan).expect("valid ids");
        let mut place = 0;
        for options in &examples {
            let rows: Vec<&[f32]> = expected[place * 387..].chunks(387).take(2).collect();
            let last = |option: usize| options[option].last().map_or(0, |id| *id as usize);
            for option in 0..2 {
                let row = rows[option];
                let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
                let expected = f64::from(row[last(option)]) - total.ln();
                let found = f64::from(scores[place + option]);
                // some roundings of f32 near 10; a logit rounded to f16 is up to 4e-3 off there, to bf16 3e-2
                assert!(
                    (found - expected).abs() < 2e-5,
                    "{dtype:?}: {found} {expected}"
                );
            }
            place += 2;
        }
    }
}
