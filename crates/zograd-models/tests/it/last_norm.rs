//! The norm before the head, moved: logits of some tokens are shifted, and features are what the head makes logits of.

use crate::seeded;
use burn_ndarray::NdArray;
use zograd_models::{Model, ModelConfig, Plan, Sequence, Sharing};

type Cpu = NdArray<f32>;

fn opt(more: &str) -> Model<Cpu> {
    let text = format!(
        r#"{{"model_type": "opt", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "ffn_dim": 32, "max_position_embeddings": 32, "init_std": 0.3{more}}}"#
    );
    seeded::model(&ModelConfig::from_json(&text).expect("valid"), 5)
}

fn llama() -> Model<Cpu> {
    let text = r#"{"model_type": "llama", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 24, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 32, "initializer_range": 0.3, "tie_word_embeddings": true}"#;
    seeded::model(&ModelConfig::from_json(text).expect("valid"), 5)
}

fn logits(model: &Model<Cpu>) -> Vec<f32> {
    let sequences = [vec![2, 10, 11, 12], vec![2, 7, 30]];
    let all = model.forward(&sequences).expect("in the vocabulary");
    let all = all.into_iter().map(|logits| logits.into_data());
    all.flat_map(|logits| logits.iter::<f32>().collect::<Vec<_>>())
        .collect()
}

/// Everywhere the logits of the tokens differ from one another by what they did and the shift; f32 rounds.
#[test]
fn logits_of_some_tokens_are_shifted() {
    for model in [opt(""), opt("").untied()] {
        let by = [(7, 0.75), (8, -0.5), (31, 0.125)];
        let moved = model.clone().with_logits_moved(&by).expect("a bias");
        let (before, after) = (logits(&model), logits(&moved));
        for (before, after) in before.chunks(40).zip(after.chunks(40)) {
            let shift = |token: usize| f64::from(after[token]) - f64::from(before[token]);
            for (token, expected) in by {
                let found = shift(token as usize) - shift(7);
                assert!((found - (expected - 0.75)).abs() < 2e-5, "{found}");
            }
        }
    }
    assert!(opt("").with_logits_moved(&[(7, 0.5), (7, 1.0)]).is_none());
    assert!(opt("").with_logits_moved(&[(7, 0.5), (40, 1.0)]).is_none());
    // no norm with a bias right before the head
    assert!(llama().with_logits_moved(&[(7, 0.5), (8, 0.0)]).is_none());
    for other in [
        r#", "_remove_final_layer_norm": true"#,
        r#", "do_layer_norm_before": false, "word_embed_proj_dim": 8"#,
    ] {
        let other = opt(other);
        assert!(other.last_norm().is_none());
        assert!(other.with_logits_moved(&[(7, 0.5), (8, 0.0)]).is_none());
    }
}

/// Logits are the head's rows times gain, features and bias.
#[test]
fn features_are_what_gain_and_bias_act_on() {
    for model in [opt(""), llama()] {
        let (gain, bias) = model.last_norm().expect("a norm");
        let by: Vec<f64> = (0..16).map(|at| 0.1 * f64::from(at % 3)).collect();
        let model = model.with_last_norm_moved(&by, &[]).expect("a gain");
        let (moved, _) = model.last_norm().expect("a norm");
        for ((moved, gain), by) in moved.iter().zip(&gain).zip(&by) {
            assert!((moved - gain - by).abs() < 1e-6);
        }
        let options = [[2, 10, 11, 7], [2, 10, 11, 8]];
        let options = options.each_ref().map(|ids| Sequence { ids, scored: 1 });
        let plan = Plan::new(&[options.to_vec()], Sharing::Prefix).expect("scored");
        let features = model.normed_features(&plan).expect("runs").expect("a norm");
        let rows = model.head_rows(&[7, 8]);
        let scores = model.log_probs(&plan).expect("runs");
        let logit = |option: usize| -> f64 {
            let features = &features[16 * option..16 * (option + 1)];
            (0..16)
                .map(|at| {
                    let bias = bias.as_ref().map_or(0.0, |bias| bias[at]);
                    (f64::from(features[at]) * moved[at] + bias) * rows[option][at]
                })
                .sum()
        };
        let found = logit(1) - logit(0);
        assert!(
            (found - f64::from(scores[1] - scores[0])).abs() < 1e-5,
            "{found}"
        );
    }
}
