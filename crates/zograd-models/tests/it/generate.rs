//! Continuations with the cache are those without it, whatever the batch; beams find the best.

use crate::seeded;
use proptest::prelude::*;
use zograd_direction::Seed;
use zograd_models::{Decoding, Finish, Generation, Model, ModelConfig, ModelError, Plan, Sampling};
use zograd_models::{Sequence, Sharing};

#[cfg(feature = "cuda")]
type B = burn_cuda::Cuda;
#[cfg(not(feature = "cuda"))]
type B = burn_ndarray::NdArray;

const VOCABULARY: u32 = 24;
const POSITIONS: usize = 40;

/// Large initial weights, so that the logits differ from token to token.
fn model(pre_norm: bool) -> Model<B> {
    let config = ModelConfig::from_json(&format!(
        r#"{{"vocab_size": {VOCABULARY}, "hidden_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "ffn_dim": 32, "max_position_embeddings": {POSITIONS},
            "do_layer_norm_before": {pre_norm}, "init_std": 0.3,
            "word_embed_proj_dim": {}}}"#,
        if pre_norm { 16 } else { 8 }
    ))
    .expect("a valid configuration");
    seeded::model(&config, 7)
}

/// Logits after the last token, without a cache.
fn logits(model: &Model<B>, ids: &[u32]) -> Vec<f32> {
    let all = model.forward(&[ids.to_vec()]).expect("valid ids");
    let all: Vec<f32> = all[0].clone().into_data().iter().collect();
    all[(ids.len() - 1) * VOCABULARY as usize..].to_vec()
}

/// Sum of the log-probabilities of the last `new` tokens.
fn log_probability(model: &Model<B>, ids: &[u32], new: usize) -> f32 {
    let sequence = Sequence { ids, scored: new };
    let plan = Plan::new(&[vec![sequence]], Sharing::None).expect("valid");
    model.log_probs(&plan).expect("valid ids").iter().sum()
}

fn borrow(prompts: &[Vec<u32>]) -> Vec<&[u32]> {
    prompts.iter().map(Vec::as_slice).collect()
}

fn prompts(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(0..VOCABULARY, 1..POSITIONS), count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Every token is the largest of the logits that a pass over the whole sequence gives, to
    /// rounding; a batch of prompts of any lengths, of which some end early.
    #[test]
    fn cached_is_uncached(prompts in prompts(1..6), pre_norm in any::<bool>(), stop in 0..VOCABULARY) {
        let model = model(pre_norm);
        let generation = Generation { stop: vec![stop], ..Generation::greedy(12) };
        let written = model.generate(&borrow(&prompts), &generation).expect("fits");
        prop_assert_eq!(written.len(), prompts.len());
        for (prompt, continuation) in prompts.iter().zip(&written) {
            let mut ids = prompt.clone();
            for id in &continuation.ids {
                let logits = logits(&model, &ids);
                let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                prop_assert!(largest - logits[*id as usize] < 1e-3);
                ids.push(*id);
            }
            let (last, before) = continuation.ids.split_last().expect("a token");
            prop_assert!(!before.contains(&stop));
            let expected = match continuation.ids.len() {
                _ if *last == stop => Finish::Stop,
                12 => Finish::Length,
                n => {
                    prop_assert_eq!(n, POSITIONS + 1 - prompt.len());
                    Finish::Positions
                }
            };
            prop_assert_eq!(continuation.finish, expected);
        }
    }

    /// What is drawn after a prompt does not depend on the prompts beside it.
    #[test]
    fn neighbours_change_nothing(prompts in prompts(2..5), pre_norm in any::<bool>(), seed: u64) {
        let model = model(pre_norm);
        let sampling = Sampling {
            temperature: 0.8,
            top_k: Some(8),
            top_p: Some(0.9),
            ..Sampling::new(Seed::new(seed))
        };
        let generation = Generation {
            decoding: Decoding::Sampling(sampling.clone()),
            ..Generation::greedy(3)
        };
        let together = model.generate(&borrow(&prompts), &generation).expect("fits");
        let alone = model.generate(&borrow(&prompts[..1]), &generation).expect("fits");
        prop_assert_eq!(&together[..1], &alone[..]);
        // a stream of its own goes with a prompt to any place
        let generation = Generation {
            decoding: Decoding::Sampling(Sampling { streams: vec![1], ..sampling }),
            ..generation
        };
        let second = model.generate(&borrow(&prompts[1..2]), &generation).expect("fits");
        prop_assert_eq!(&together[1..2], &second[..]);
    }

    /// As many beams as tokens keep every first token, so that the best pair is found.
    #[test]
    fn many_beams_find_the_best(prompts in prompts(1..2), pre_norm in any::<bool>()) {
        let model = model(pre_norm);
        prop_assume!(prompts[0].len() < POSITIONS);
        let generation = Generation {
            decoding: Decoding::Beams(VOCABULARY as usize),
            ..Generation::greedy(2)
        };
        let found = model.generate(&borrow(&prompts), &generation).expect("fits");
        let with = |pair: &[u32]| [&prompts[0], pair].concat();
        let best = (0..VOCABULARY * VOCABULARY)
            .map(|k| log_probability(&model, &with(&[k / VOCABULARY, k % VOCABULARY]), 2))
            .fold(f32::NEG_INFINITY, f32::max);
        let score = log_probability(&model, &with(&found[0].ids), 2);
        prop_assert!((best - score).abs() < 1e-3, "{} instead of {}", score, best);
    }

    #[test]
    fn one_beam_is_greedy(prompts in prompts(1..3), pre_norm in any::<bool>()) {
        let model = model(pre_norm);
        let greedy = Generation { stop: vec![3], ..Generation::greedy(6) };
        let beams = Generation { decoding: Decoding::Beams(1), ..greedy.clone() };
        let prompts = borrow(&prompts);
        prop_assert_eq!(model.generate(&prompts, &beams), model.generate(&prompts, &greedy));
    }
}

#[test]
fn tokens_are_told_as_they_come() {
    let model = model(true);
    let prompts: [&[u32]; 2] = [&[2, 5], &[2, 6, 7, 8]];
    for decoding in [Decoding::Greedy, Decoding::Beams(3)] {
        let generation = Generation {
            decoding,
            ..Generation::greedy(4)
        };
        let mut told = [vec![], vec![]];
        let written = model
            .generate_with(&prompts, &generation, |prompt, id| told[prompt].push(id))
            .expect("fits");
        assert_eq!(told, [written[0].ids.clone(), written[1].ids.clone()]);
    }
}

#[test]
fn wrong_settings_and_prompts_are_refused() {
    let model = model(true);
    let sampling = |temperature, top_k, top_p| {
        Decoding::Sampling(Sampling {
            temperature,
            top_k,
            top_p,
            ..Sampling::new(Seed::new(0))
        })
    };
    for (decoding, name) in [
        (Decoding::Beams(0), "beams"),
        (Decoding::Beams(1 << 30), "beams"),
        (sampling(0.0, None, None), "temperature"),
        (sampling(f64::NAN, None, None), "temperature"),
        (sampling(1.0, Some(0), None), "top-k"),
        (sampling(1.0, None, Some(0.0)), "top-p"),
        (sampling(1.0, None, Some(1.5)), "top-p"),
    ] {
        let generation = Generation {
            decoding,
            ..Generation::greedy(2)
        };
        let error = model.generate(&[&[1]], &generation).expect_err("refused");
        assert!(
            error.to_string().starts_with(&format!("`{name} = ")),
            "{error}"
        );
    }
    for decoding in [Decoding::Greedy, Decoding::Beams(2)] {
        let generation = Generation {
            decoding,
            ..Generation::greedy(2)
        };
        let refused =
            |prompts: &[&[u32]]| model.generate(prompts, &generation).expect_err("refused");
        assert_eq!(refused(&[]), ModelError::NoTokens);
        assert_eq!(refused(&[&[1], &[]]), ModelError::EmptySequence(1));
        assert!(matches!(
            refused(&[&[VOCABULARY]]),
            ModelError::IdOutOfRange { .. }
        ));
        assert!(matches!(refused(&[&[1; 41]]), ModelError::TooLong { .. }));
    }
    let none = model
        .generate(&[&[1]], &Generation::greedy(0))
        .expect("fine");
    assert!(none[0].ids.is_empty() && none[0].finish == Finish::Length);
}
