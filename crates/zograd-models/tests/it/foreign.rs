//! Models and backends of other crates: what they need is public, and it means what the documentation says.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Distribution, Tensor};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use proptest::prelude::*;
use zograd_models::{
    AttentionLayout, Continuation, Generation, Heads, LanguageModel, Model, ModelBackend,
    ModelError, Plan, Sharing,
};

use crate::plan::{Owned, TOLERANCE, borrow, distance, group, models};
use crate::seeded;

/// A model that attends, and reads a plan by its public data alone: it runs each scored token's whole sequence,
/// sharing nothing.
struct Naive(Model<NdArray>);

impl LanguageModel for Naive {
    type Backend = NdArray;

    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        let config = self.0.config();
        plan.check(config.vocab_size, config.max_position_embeddings)?;
        let sequence = |(logit, _): (usize, u32)| {
            let seen = plan.seen_by(plan.logit_tokens()[logit]);
            let places: Vec<usize> = seen.collect();
            let positions = places.iter().map(|token| plan.positions()[*token]);
            assert!(positions.eq(0..places.len() as u32), "{places:?}");
            places.into_iter().map(|token| plan.ids()[token]).collect()
        };
        let sequences: Vec<Vec<u32>> = plan.scored().map(sequence).collect();
        let logits = self.0.forward(&sequences)?;
        let score = |(logits, (_, id)): (Tensor<NdArray, 2>, (usize, u32))| {
            let last = logits.dims()[0] - 1;
            let scores = log_softmax(logits, 1);
            scores.slice([last..last + 1, id as usize..id as usize + 1])
        };
        let scores = logits.into_iter().zip(plan.scored()).map(score);
        Ok(scores.map(|score| score.into_scalar()).collect())
    }

    fn generate(&self, _: &[&[u32]], _: &Generation) -> Result<Vec<Continuation>, ModelError> {
        Err(ModelError::Other("it writes nothing".to_owned()))
    }
}

/// Attention as a backend of another crate may have it: one token, one head and one seen token after the other.
fn attention<B: ModelBackend>(
    [query, key, value]: [Tensor<B, 2>; 3],
    layout: &AttentionLayout<B>,
) -> Tensor<B, 2> {
    let [tokens, _] = query.dims();
    let (heads, device) = (layout.heads(), query.device());
    let mut rows = Vec::with_capacity(tokens);
    for segment in layout.rows().iter().flat_map(|row| row.segments()) {
        for token in segment.tokens.clone() {
            let seen = heads.seen(segment, token).into_iter().flatten();
            let seen: Vec<i32> = seen.map(|other| other as i32).collect();
            let seen = Tensor::from_ints(&seen[..], &device);
            let each = (0..heads.query).map(|head| {
                let of = |tensor: &Tensor<B, 2>| {
                    let seen = tensor.clone().select(0, seen.clone());
                    seen.narrow(1, head / heads.group() * heads.width, heads.width)
                };
                let query = query.clone().narrow(0, token, 1);
                let query = query.narrow(1, head * heads.width, heads.width);
                let scores = query.matmul(of(&key).transpose()) * heads.scale;
                softmax(scores, 1).matmul(of(&value))
            });
            rows.push(Tensor::cat(each.collect(), 1));
        }
    }
    Tensor::cat(rows, 0)
}

fn plan(groups: &[Vec<Owned>], sharing: Sharing) -> Plan {
    let groups: Vec<_> = groups.iter().map(|group| borrow(group)).collect();
    Plan::new(&groups, sharing).expect("valid sequences")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_foreign_model_reads_a_plan_as_opt_does(
        groups in prop::collection::vec(group(), 1..4),
        pre_norm in any::<bool>(),
    ) {
        let (model, _) = models(pre_norm);
        for sharing in [Sharing::None, Sharing::Prefix] {
            let plan = plan(&groups, sharing);
            let expected = model.log_probs(&plan).expect("valid ids");
            let found = Naive(model.clone()).log_probs(&plan).expect("valid ids");
            prop_assert!(distance(&found, &expected) < TOLERANCE);
        }
    }

    /// With heads that share keys and values, and windows that begin in a prompt, in a tail, and before both.
    #[test]
    fn a_foreign_attention_reads_a_layout_as_ours_do(
        groups in prop::collection::vec(group(), 1..3),
        [key_value, group, width] in [1..4usize, 1..4usize, 1..5usize],
        window in prop::option::of(1..12usize),
        scale in 0.2..1.5,
    ) {
        let plan = plan(&groups, Sharing::Prefix);
        let heads = Heads { query: key_value * group, key_value, width, window, scale };
        let layout = AttentionLayout::<NdArray>::of(&plan, heads);
        let projected = [heads.query, key_value, key_value].map(|count| {
            let _generator = seeded::generator();
            let (shape, numbers) = ([plan.ids().len(), count * width], Distribution::Normal(0.0, 1.0));
            Tensor::<NdArray, 2>::random(shape, numbers, &Default::default())
        });
        let expected = attention(projected.clone(), &layout);
        let numbers = |tensor: Tensor<NdArray, 2>| tensor.into_data().to_vec().expect("f32");
        let [query, key, value] = projected.clone();
        let found = NdArray::packed_attention(None, query, key, value, &layout);
        prop_assert!(distance(&numbers(found), &numbers(expected.clone())) < 1e-5);
        // and the tensor operations that backends without a kernel have
        let layout = AttentionLayout::<Autodiff<NdArray>>::of(&plan, heads);
        let [query, key, value] = projected.map(Tensor::from_inner);
        let found = Autodiff::<NdArray>::packed_attention(None, query, key, value, &layout);
        prop_assert!(distance(&numbers(found.inner()), &numbers(expected)) < 1e-5);
    }
}

#[test]
fn a_foreign_model_refuses_in_its_own_words() {
    let (model, _) = models(true);
    let error = Naive(model).generate(&[&[2]], &Generation::greedy(1));
    let error = error.expect_err("it writes nothing").to_string();
    assert_eq!(error, "it writes nothing");
}

/// Every runtime of CubeCL will do, named here or not, alone and fused.
#[cfg(feature = "cube")]
#[allow(dead_code, reason = "it is enough that it compiles")]
fn every_runtime_is_a_model_backend<R, F>()
where
    R: burn_cubecl::CubeRuntime,
    F: burn_cubecl::FloatElement,
    R::Server: burn_cubecl::cubecl::server::ComputeServer,
    R::Device: burn::tensor::backend::DeviceOps,
{
    fn accepted<B: ModelBackend>() {}
    accepted::<burn_cubecl::CubeBackend<R, F, i32, u32>>();
    accepted::<burn_fusion::Fusion<burn_cubecl::CubeBackend<R, F, i32, u32>>>();
}
