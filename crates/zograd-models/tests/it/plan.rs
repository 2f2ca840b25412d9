//! Sharing, packing and chunking change the work, not the scores.

use crate::seeded;
use burn::module::AutodiffModule;
use burn::tensor::activation::log_softmax;
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use proptest::prelude::*;
use zograd_models::{
    Model, ModelBackend, ModelConfig, ModelError, Plan, PlanError, Sequence, Sharing,
};

const VOCABULARY: u32 = 40;

/// Large initial weights, so that the scores differ from token to token.
fn config(pre_norm: bool) -> ModelConfig {
    ModelConfig::from_json(&format!(
        r#"{{"vocab_size": {VOCABULARY}, "hidden_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "ffn_dim": 32, "max_position_embeddings": 300,
            "do_layer_norm_before": {pre_norm}, "init_std": 0.3,
            "word_embed_proj_dim": {}}}"#,
        if pre_norm { 16 } else { 8 }
    ))
    .expect("a valid configuration")
}

/// The same weights with and without the overrides of the CPU backend.
pub fn models(pre_norm: bool) -> (Model<NdArray>, Model<Autodiff<NdArray>>) {
    let plain: Model<Autodiff<NdArray>> = seeded::model(&config(pre_norm), 7);
    (plain.valid(), plain)
}

pub type Owned = (Vec<u32>, usize);

fn scores<B: ModelBackend>(model: &Model<B>, groups: &[Vec<Owned>], sharing: Sharing) -> Vec<f32> {
    let groups: Vec<Vec<Sequence>> = groups.iter().map(|group| borrow(group)).collect();
    let plan = Plan::new(&groups, sharing).expect("valid sequences");
    let spans = plan.spans();
    let lengths: Vec<usize> = spans.iter().map(|span| span.len()).collect();
    let scored: Vec<usize> = groups.iter().flatten().map(|s| s.scored).collect();
    assert_eq!(lengths, scored);
    model.log_probs(&plan).expect("valid ids")
}

pub fn borrow(group: &[Owned]) -> Vec<Sequence<'_>> {
    group
        .iter()
        .map(|(ids, scored)| Sequence {
            ids,
            scored: *scored,
        })
        .collect()
}

/// Largest difference; log-probabilities here are a few units, so an absolute bound is fair.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|score| score.is_finite()));
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Reordered f32 sums of some hundred terms through two layers: 1e-5 is typical, and a token that
/// sees one too many or too few changes scores by far more than 1e-2.
pub const TOLERANCE: f32 = 5e-4;

/// A group of up to four sequences with a common beginning of any length, also none.
pub fn group() -> impl Strategy<Value = Vec<Owned>> {
    let ids = |length| prop::collection::vec(0..VOCABULARY, length);
    (
        ids(0..90),
        prop::collection::vec((ids(2..80), 0.0..1.0f64), 1..5),
    )
        .prop_map(|(prefix, tails)| {
            let sequence = |(tail, share): (Vec<u32>, f64)| {
                let ids = [prefix.clone(), tail].concat();
                let scored = 1 + (share * (ids.len() - 2) as f64) as usize;
                (ids, scored)
            };
            tails.into_iter().map(sequence).collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn sharing_a_prefix_changes_no_score(
        groups in prop::collection::vec(group(), 1..5),
        pre_norm in any::<bool>(),
    ) {
        let (fast, plain) = models(pre_norm);
        let alone = scores(&fast, &groups, Sharing::None);
        let shared = scores(&fast, &groups, Sharing::Prefix);
        prop_assert!(distance(&alone, &shared) < TOLERANCE);
        // the rectangles of the default attention and the tiles of the CPU kernels agree
        let rectangles = scores(&plain, &groups, Sharing::Prefix);
        prop_assert!(distance(&rectangles, &shared) < TOLERANCE);
        let rectangles = scores(&plain, &groups, Sharing::None);
        prop_assert!(distance(&rectangles, &alone) < TOLERANCE);
    }
}

#[test]
fn scores_are_those_of_all_logits() {
    let (model, _) = models(true);
    // more scored positions than one chunk of logits holds, in sequences of different length
    let ids = |length: u32, step| (0..length).map(|i| (i * step + 3) % VOCABULARY).collect();
    let sequences: Vec<Vec<u32>> = vec![ids(250, 7), ids(90, 11), ids(200, 13)];
    let groups: Vec<Vec<Owned>> = sequences
        .iter()
        .map(|ids| vec![(ids.clone(), ids.len() - 1)])
        .collect();
    let found = scores(&model, &groups, Sharing::Prefix);
    let logits = model.forward(&sequences).expect("valid ids");
    let mut expected = Vec::new();
    for (logits, ids) in logits.into_iter().zip(&sequences) {
        let all: Vec<f32> = log_softmax(logits, 1).into_data().iter().collect();
        for (position, next) in ids[1..].iter().enumerate() {
            expected.push(all[position * VOCABULARY as usize + *next as usize]);
        }
    }
    assert!(distance(&found, &expected) < TOLERANCE);
}

#[test]
fn only_what_is_needed_is_run() {
    let prompt = [2, 5, 6, 7, 8];
    let with = |tail: &[u32]| [&prompt, tail].concat();
    let single = [(with(&[9]), 1), (with(&[10]), 1)];
    let plan = Plan::new(&[borrow(&single)], Sharing::Prefix).expect("valid");
    let stats = plan.stats();
    assert_eq!(
        (stats.tokens, stats.logit_positions, stats.targets),
        (5, 1, 2)
    );
    assert_eq!(stats.padded_tokens, 12);

    let unequal = [(with(&[9, 1]), 2), (with(&[10, 3, 4]), 3)];
    let plan = Plan::new(&[borrow(&unequal)], Sharing::Prefix).expect("valid");
    // five of the prompt, one and two of the tails; both options start at the same position
    let stats = plan.stats();
    assert_eq!(
        (stats.tokens, stats.logit_positions, stats.targets),
        (8, 4, 5)
    );
    let plan = Plan::new(&[borrow(&unequal)], Sharing::None).expect("valid");
    assert_eq!(plan.stats().tokens, 6 + 7);

    // nothing in common: nothing is shared, and nothing breaks
    let apart = [(vec![1, 2, 3], 1), (vec![4, 5, 6], 1)];
    let plan = Plan::new(&[borrow(&apart)], Sharing::Prefix).expect("valid");
    assert_eq!(plan.stats().tokens, 4);
}

#[test]
fn bad_sequences_are_named() {
    let refused = |ids: &[u32], scored| {
        let good = Sequence {
            ids: &[1, 2],
            scored: 1,
        };
        Plan::new(
            &[vec![good], vec![good, Sequence { ids, scored }]],
            Sharing::Prefix,
        )
        .expect_err("must be refused")
    };
    let (group, sequence) = (1, 1);
    assert_eq!(
        refused(&[1, 2], 0),
        PlanError::NothingScored { group, sequence }
    );
    let error = refused(&[1, 2], 2);
    assert_eq!(
        error,
        PlanError::NoContext {
            group,
            sequence,
            scored: 2,
            length: 2
        }
    );
    assert!(error.to_string().contains("at most 1"));
    assert!(matches!(refused(&[], 1), PlanError::NoContext { .. }));
    assert_eq!(Plan::new(&[], Sharing::None), Err(PlanError::Empty));
    assert_eq!(Plan::new(&[vec![]], Sharing::None), Err(PlanError::Empty));
}

#[test]
fn ids_and_positions_beyond_the_tables_are_refused() {
    let (model, _) = models(true);
    let refused = |ids: &[u32]| {
        let plan = Plan::new(&[vec![Sequence { ids, scored: 1 }]], Sharing::Prefix);
        model
            .log_probs(&plan.expect("a valid plan"))
            .expect_err("must be refused")
    };
    let id = VOCABULARY;
    let unknown = ModelError::IdOutOfRange {
        id,
        vocab_size: VOCABULARY as usize,
    };
    assert_eq!(refused(&[1, id, 2]), unknown);
    // also where the id is only predicted
    assert_eq!(refused(&[1, 2, id]), unknown);
    // 301 tokens fit: the last is not run
    let long = vec![1; 302];
    assert_eq!(
        refused(&long),
        ModelError::TooLong {
            length: 301,
            limit: 300
        }
    );
    let plan = Plan::new(
        &[vec![Sequence {
            ids: &long[1..],
            scored: 1,
        }]],
        Sharing::Prefix,
    );
    assert!(model.log_probs(&plan.expect("a valid plan")).is_ok());

    assert_eq!(model.forward(&[]).expect_err("empty"), ModelError::NoTokens);
    let hole = model.forward(&[vec![1], vec![]]).expect_err("empty");
    assert_eq!(hole, ModelError::EmptySequence(1));
    let ragged = model.forward_padded(&[vec![1, 2], vec![1]], &[vec![true; 2], vec![true]]);
    assert!(matches!(
        ragged,
        Err(ModelError::Ragged {
            row: 1,
            what: "batch",
            ..
        })
    ));
    let ragged = model.forward_padded(&[vec![1, 2]], &[]);
    assert!(matches!(
        ragged,
        Err(ModelError::Ragged {
            what: "attention mask",
            ..
        })
    ));
}

/// What is left out is not read, and what is left has the scores it had.
#[test]
fn scores_that_are_left_out_change_no_other() {
    let (model, _) = models(true);
    let (a, b) = ([1, 4, 6, 7, 8, 9], [1, 4, 5, 6]);
    let sequence = |ids, scored| Sequence { ids, scored };
    let groups = [vec![sequence(&a[..], 4)], vec![sequence(&b[..], 2)]];
    let whole = Plan::new(&groups, Sharing::Prefix).expect("valid");
    let part = whole
        .clone()
        .without(|sequence, place| sequence == 0 && (1..3).contains(&place));
    assert_eq!(part.spans(), [0..2, 2..4]);
    assert_eq!(part.targets().collect::<Vec<_>>(), [6, 9, 5, 6]);
    assert_eq!(part.stats().tokens, whole.stats().tokens);
    assert_eq!(part.stats().logit_positions, 4);
    let (all, left) = (model.log_probs(&whole), model.log_probs(&part));
    let (all, left) = (all.expect("scores"), left.expect("scores"));
    // the same arithmetic for each position, in batches of other sizes
    for (found, expected) in left.iter().zip([all[0], all[3], all[4], all[5]]) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}
